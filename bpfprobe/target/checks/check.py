"""One thing that a machine has or lacks, and the way out where it lacks it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.model.noun import dataclass

if TYPE_CHECKING:
    from bpfprobe.model.machine import Answer


@dataclass(frozen=True, slots=True)
class Check:
    """``present`` is None where it could not be told. ``way_out`` is empty where all is well."""

    name: str
    present: bool | None
    evidence: str
    way_out: str = ""


def from_answer(name: str, answer: Answer, way_out: str) -> Check:
    """A check of something that is good to have; the way out is for those who lack it."""
    way_out = "" if answer.present else answer.way_out or way_out
    return Check(name, answer.present, answer.evidence, way_out)
