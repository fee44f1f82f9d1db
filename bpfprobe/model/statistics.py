"""The ledger of a session: what was produced, and what became of it."""

from __future__ import annotations

from bpfprobe.model.noun import dataclass


@dataclass(frozen=True, slots=True)
class Statistics:
    """Counts since a session began. ``produced == delivered + lost + dropped + waiting``, always.

    ``produced`` are hits that passed the filter, counted in the kernel; ``delivered`` were handed
    to the user; ``lost`` found no room in the buffer, counted in the kernel; ``dropped`` were in
    the buffer when the session ended; ``waiting`` are there now, and 0 once it has ended.
    ``missed`` are hits or returns for which the kernel ran no program; ``unmatched`` are returns
    whose call began before the probe was there; ``in_flight`` are calls that have not returned.
    ``faults`` and ``truncated`` count captures of delivered events that were not read, or cut.
    ``late`` are delivered events that came after one with a later time, where order was asked for.
    """

    produced: int = 0
    delivered: int = 0
    lost: int = 0
    dropped: int = 0
    waiting: int = 0
    missed: int = 0
    unmatched: int = 0
    in_flight: int = 0
    faults: int = 0
    truncated: int = 0
    late: int = 0

    @property
    def complete(self) -> bool:
        """Whether every hit was seen and delivered."""
        return not (self.lost or self.dropped or self.missed)

    def __add__(self, other: Statistics) -> Statistics:
        return Statistics(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))

    def __str__(self) -> str:
        shown = [f"{self.delivered} of {self.produced} events delivered"]
        words = (
            ("lost", "lost in a full buffer"),
            ("dropped", "dropped at the end"),
            ("waiting", "waiting"),
            ("missed", "missed by the kernel"),
            ("unmatched", "returned from calls that began before"),
            ("faults", "values could not be read"),
            ("truncated", "values were cut"),
            ("late", "too late to be in order"),
        )
        shown += [f"{getattr(self, name)} {text}" for name, text in words if getattr(self, name)]
        return ", ".join(shown)
