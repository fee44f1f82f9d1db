"""Whether a description holds on a machine, and what of the machine it counts on."""

from __future__ import annotations

from enum import Enum

from bpfprobe.model.noun import dataclass


class Outcome(Enum):
    """How a description fares on a machine, beside the first machine on which it works."""

    OK = "ok"
    DIFFERS = "differs"  # it works, but what it counts on is elsewhere or of another type
    FAILS = "fails"


@dataclass(frozen=True, slots=True)
class Reliance:
    """Something that a description counts on (``file.f_pos``), and how it is (``s64 at 104``)."""

    what: str
    how: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """One description on one machine.

    ``code`` is that of the error where it fails. ``notes`` are the error, or each difference.
    """

    outcome: Outcome
    relies: tuple[Reliance, ...] = ()
    code: str = ""
    notes: tuple[str, ...] = ()
