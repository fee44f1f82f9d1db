"""Event times, which count from boot, as times of day."""

from __future__ import annotations

import time
from datetime import datetime

from bpfprobe.model.noun import dataclass


@dataclass(frozen=True, slots=True)
class WallClock:
    """Turns CLOCK_MONOTONIC into the time of day. ``ahead_ns`` is how far that one is ahead.

    It holds until the clock is set or the machine sleeps: `CurrentClock` sees that.
    """

    ahead_ns: int

    @staticmethod
    def now() -> WallClock:
        """The difference between the clocks as it is now, from the closest of five readings."""
        best = min(_readings(), key=lambda reading: reading[0])
        return WallClock(best[1])

    def at(self, monotonic_ns: int) -> datetime:
        """The local time of day of an event's ``time``."""
        return datetime.fromtimestamp((monotonic_ns + self.ahead_ns) / 1e9).astimezone()


_STEP_NS = 1_000_000
"""A difference above it is looked at again: less is the time between two readings."""


class CurrentClock:
    """A `WallClock` that is read again once the clock was set, or the machine has slept.

    CLOCK_MONOTONIC stands still in a suspend: clock_gettime(2).
    """

    def __init__(self) -> None:
        self._clock = WallClock.now()

    @property
    def ahead_ns(self) -> int:
        """How far the time of day is ahead now."""
        ahead_ns = time.time_ns() - time.monotonic_ns()
        if abs(ahead_ns - self._clock.ahead_ns) > _STEP_NS:
            self._clock = WallClock.now()
        return self._clock.ahead_ns

    def at(self, monotonic_ns: int) -> datetime:
        """The local time of day of an event's ``time``."""
        return WallClock(self.ahead_ns).at(monotonic_ns)


def _readings() -> list[tuple[int, int]]:
    """Pairs of how long a reading took and the difference it found."""
    readings = []
    for _ in range(5):
        before = time.monotonic_ns()
        wall = time.time_ns()
        after = time.monotonic_ns()
        readings.append((after - before, wall - (before + after) // 2))
    return readings
