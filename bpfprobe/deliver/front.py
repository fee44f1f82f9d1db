"""What stands before the PID of a row: the time of the event in one of three forms, and the CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.model.event import of_hit
from bpfprobe.model.noun import dataclass

if TYPE_CHECKING:
    from bpfprobe.deliver.clock import CurrentClock, WallClock
    from bpfprobe.model.event import Event

SECOND_NS = 1_000_000_000
JSON_NAMES = {"clock": "time_of_day", "offset": "since_start", "unix": "unix_time"}
"""The member of a JSON object that has the time in each form."""


@dataclass(frozen=True, slots=True)
class Front:
    """Columns for the time (``time`` is "", "clock", "offset" or "unix") and for the CPU.

    ``start_ns`` (CLOCK_MONOTONIC) is what offsets count from. The time of day has ``fraction``
    digits of a second.
    """

    clock: WallClock | CurrentClock
    start_ns: int
    time: str = ""
    cpu: bool = False
    fraction: int = 0

    def titles(self) -> list[str]:
        """The titles, each as wide as its column."""
        widths = {"": 0, "unix": 17, "offset": 8, "clock": 8 + bool(self.fraction) + self.fraction}
        titles = ["TIME".ljust(widths[self.time])] if self.time else []
        return [*titles, "CPU"] if self.cpu else titles

    def cells(self, event: Event) -> list[str]:
        """The same of an event, padded."""
        cells = []
        time_ns = of_hit(event, "time")
        if self.time == "clock":
            text = self.clock.at(time_ns).strftime("%H:%M:%S.%f")
            cells.append(text[: 8 + bool(self.fraction) + self.fraction])
        elif self.time == "offset":
            cells.append(f"{(time_ns - self.start_ns) / SECOND_NS:.6f}"[:8].ljust(8))
        elif self.time == "unix":
            cells.append(f"{(time_ns + self.clock.ahead_ns) / SECOND_NS:.6f}".ljust(17))
        if self.cpu:
            cells.append(f"{of_hit(event, 'cpu'):<3}")
        return cells

    def members(self, event: Event) -> dict[str, str | float]:
        """The time as a member of a JSON object: ISO 8601, or seconds. The CPU is one already."""
        time_ns = of_hit(event, "time")
        if self.time == "clock":
            return {JSON_NAMES["clock"]: self.clock.at(time_ns).isoformat()}
        if self.time == "offset":
            return {JSON_NAMES["offset"]: (time_ns - self.start_ns) / SECOND_NS}
        if self.time == "unix":
            return {JSON_NAMES["unix"]: (time_ns + self.clock.ahead_ns) / SECOND_NS}
        return {}
