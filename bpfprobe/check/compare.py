"""What a probe counts on here, beside what it counts on elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.model.verdict import Outcome, Reliance, Verdict

if TYPE_CHECKING:
    from bpfprobe.errors import BpfprobeError


def failure(error: BpfprobeError) -> Verdict:
    """A description that does not hold."""
    return Verdict(Outcome.FAILS, (), error.code, tuple(str(error).splitlines()))


def compare(relies: tuple[Reliance, ...], reference: tuple[Reliance, ...], machine: str) -> Verdict:
    """A description that holds here and on ``machine``, where it counts on ``reference``."""
    here, there = ({each.what: each.how for each in each_of} for each_of in (relies, reference))
    notes = []
    for what in dict.fromkeys([*here, *there]):
        if what not in here:
            notes.append(f"{what}: not used here; on {machine} {there[what]}")
        elif what not in there:
            notes.append(f"{what}: {here[what]}; not used on {machine}")
        elif here[what] != there[what]:
            notes.append(f"{what}: {here[what]}; on {machine} {there[what]}")
    return Verdict(Outcome.DIFFERS if notes else Outcome.OK, relies, "", tuple(notes))
