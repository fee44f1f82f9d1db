"""Events in the order of their times, whichever CPU they happened on."""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from operator import attrgetter

from bpfprobe.errors import DecodeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bpfprobe.engine import RecordSource
    from bpfprobe.model.event import Event
    from bpfprobe.read.supply import Decodes

MOST_HELD = 1 << 16
"""Events that are held back at most; then the oldest go, however young."""
PASS_RECORDS = 4096

_time_of = attrgetter("_time")  # that of the hit, whatever a capture is called


class Ordered:
    """Holds each event back until it is ``window_s`` old, and sorts what it holds.

    An event that comes when one with a later time was handed out already is handed out too, at
    once, and counted in ``late``.
    """

    def __init__(self, source: RecordSource, decoder: Decodes, window_s: float) -> None:
        self._source, self._decoder = source, decoder
        self._window_ns = int(window_s * 1e9)
        self._held: list[Event] = []
        self._ready: list[Event] = []
        self._marked = False
        self._now_ns = self._newest = 0
        self._goal: int | None = None
        self.late = 0

    def begin(self) -> None:
        """From now on without an end."""
        self._goal = None

    def take(self, limit: int) -> tuple[list[Event], bool]:
        """Raises `DecodeError` for a record that is wrong, which will not come again."""
        if not self._ready:
            self._gather()
            self._ripen()
        return self._ready[:limit], self._marked

    def used(self, count: int) -> None:
        """Forget what was handed out."""
        del self._ready[:count]

    def finish(self) -> None:
        """Hold nothing back that was written until now."""
        self._goal = self._source.progress()[1]

    def _gather(self) -> None:
        """Take what is in all buffers now; more may come all the time."""
        source, held = self._source, self._held
        self._now_ns = time.monotonic_ns()
        goal = source.progress()[1] if self._goal is None else self._goal
        if not (held or self._ready):
            self._marked = False
        while source.progress()[0] < goal and len(held) < MOST_HELD:
            chunk = source.look(PASS_RECORDS, 1 << 20)
            if chunk is None:
                break
            try:
                events, marked = self._decoder.events(chunk)
            except DecodeError:
                source.free(1)
                raise
            self._marked |= marked
            held += events
            source.free(len(events))
        held.sort(key=_time_of)

    def _ripen(self) -> None:
        """Let go what is old enough, or too much, or all at the end."""
        held = self._held
        count = len(held)
        if self._goal is None:
            old = bisect_right(held, self._now_ns - self._window_ns, key=_time_of)
            count = max(old, count - MOST_HELD // 2 if count >= MOST_HELD else 0)
        if not count:
            return
        self._ready, self._held = held[:count], held[count:]
        self.late += bisect_left(self._ready, self._newest, key=_time_of)
        self._newest = max(self._newest, _time_of(self._ready[-1]))
