"""Hands out events as they come, and stops when told."""

from __future__ import annotations

import math
import time
from _thread import RLock  # threading costs a start a millisecond
from itertools import chain

from bpfprobe.errors import DecodeError
from bpfprobe.read.handout import Handout
from bpfprobe.read.waiting import LoopWaiting, Waiting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from bpfprobe.engine import RecordSource
    from bpfprobe.model.chunk import Chunk
    from bpfprobe.model.event import Event
    from bpfprobe.read.supply import Decodes, Supply

MOST_AT_ONCE = 256
"""Events that are decoded at once; more would not be in the processor's cache any more."""
MOST_IN_A_ROW = 64
"""After so many events asyncio's other tasks get their turn."""
QUICK_S = 0.002
"""A consumer that takes longer for a slice of events is given fewer at once."""
STOP_CHECK_S = 0.1
"""The longest wait before `stop` is noticed."""
GRACE_S = 1.0
"""How long events are still handed out when the time is up, if there was any."""


class EventStream:
    """Takes events from a supply a slice at a time, and hands them out one by one."""

    def __init__(
        self,
        source: RecordSource,
        supply: Supply,
        decoder: Decodes,
        latency_s: float,
        idle: Callable[[], object] = lambda: None,
        chunk_bytes: int = 1 << 20,
        end_counting: Callable[[], object] = lambda: None,
    ) -> None:
        self._chunk_bytes = chunk_bytes
        self._source, self._supply, self._idle = source, supply, idle
        self._latency_s, self._end_counting = latency_s, end_counting
        self._waiting = Waiting(source)
        self._in_loops: list[LoopWaiting] = []
        self.handout = Handout(decoder.count_marks)
        """Counts what was handed out."""
        self._stopped = self._draining = self._closed = False
        self._is_last = self._ended = False
        self._looking = RLock()  # into the source, whose memory goes when it is closed

    def stop(self, *, drain: bool = False, last: bool = False) -> None:
        """End the iteration, or the next one, at the next event or within 100 ms.

        With ``drain`` as if its time were up, with ``last`` as `events` does. Safe to call from a
        signal handler and from another thread.
        """
        self._is_last |= last
        if drain:
            self._draining = True
            return
        self._stopped = True
        self.handout.withdraw()

    def close(self) -> None:
        """Close what it waits with; an iteration that goes on elsewhere ends.

        When it returns nobody looks into the source any more. From any thread.
        """
        self.stop()
        with self._looking:
            self._closed = True
        self._waiting.close()
        while self._in_loops:
            self._in_loops.pop().close()

    def events(self, duration_s: float | None = None, *, last: bool = False) -> Iterator[Event]:
        """Events until `stop`, or until ``duration_s`` seconds have passed.

        What was in the buffer when the time was up is still handed out: for a second at most, but
        all of it where no time was given, that is with 0. The ``last`` iteration ends the counting
        then, so that nothing comes after it.
        """
        return chain.from_iterable(self._slices(duration_s, last=last))

    async def events_async(self) -> AsyncIterator[Event]:
        """Events until `stop`, in the thread of the running loop; other tasks run in between."""
        import asyncio  # costs more to import than the rest of this package

        waiting = LoopWaiting(self._source, asyncio.get_running_loop())
        self._in_loops.append(waiting)
        self._supply.begin()
        pace = Pace(MOST_IN_A_ROW)
        try:
            while not self._stopped:
                if self._is_over(None):
                    rest = self._rest(time.monotonic() + GRACE_S, last=False)
                    for event in chain.from_iterable(rest):
                        yield event
                    return
                events = self._next(pace.limit)
                if events is None:
                    self._idle()
                    await waiting.wait(min(self._latency_s, STOP_CHECK_S))
                    continue
                pace.begin()
                for event in events:
                    yield event
                pace.end()
                await asyncio.sleep(0)
        finally:
            waiting.close()
            if waiting in self._in_loops:
                self._in_loops.remove(waiting)
            self._end()

    def chunks(
        self,
        cleared: Callable[[Chunk], Chunk],
        limit: int,
        duration_s: float | None = None,
        *,
        copy: bool,
        last: bool = False,
    ) -> Iterator[Chunk]:
        """Chunks of records, ends as `events` does; whoever takes one counts it in the handout.

        ``cleared`` gives of a chunk what is sound, and for a ``copy`` in memory of its own. Without
        a copy its room in the buffer is freed when the next is asked for.
        """
        deadline = None if duration_s is None else time.monotonic() + duration_s
        until: float | None = None
        self._settle()
        try:
            while not self._stopped:
                now = time.monotonic()
                if until is None and self._is_over(deadline):
                    self._end_if(last=last)
                    until, goal = now + self._grace_s(duration_s), self._progress()[1]
                if until is not None and (now >= until or self._progress()[0] >= goal):
                    return
                chunk = self._next_chunk(limit, cleared, copy=copy)
                if chunk is None:
                    if until is not None:
                        return
                    self._idle()
                    self._waiting.wait(self._longest_wait(deadline))
                    continue
                try:
                    yield chunk
                finally:
                    if not copy:
                        self._free(chunk.count)
        finally:
            self._reset()

    def _next_chunk(
        self, limit: int, cleared: Callable[[Chunk], Chunk], *, copy: bool
    ) -> Chunk | None:
        with self._looking:
            seen = None if self._closed else self._source.look(limit, self._chunk_bytes)
            if seen is None:
                return None
            try:
                chunk = cleared(seen)
            except DecodeError:
                self._source.free(1)
                raise
            if copy:
                self._source.free(chunk.count)
            return chunk

    def _free(self, count: int) -> None:
        with self._looking:
            if not self._closed:
                self._source.free(count)

    def _progress(self) -> tuple[int, int]:
        with self._looking:
            return (0, 0) if self._closed else self._source.progress()

    def _slices(self, duration_s: float | None, *, last: bool) -> Iterator[Iterator[Event]]:
        deadline = None if duration_s is None else time.monotonic() + duration_s
        pace = Pace(MOST_AT_ONCE)
        self._supply.begin()
        try:
            while not self._stopped:
                if self._is_over(deadline):
                    until = time.monotonic() + self._grace_s(duration_s)
                    yield from self._rest(until, last=last)
                    return
                events = self._next(pace.limit)
                if events is None:
                    self._idle()
                    self._waiting.wait(self._longest_wait(deadline))
                    continue
                pace.begin()
                yield events
                pace.end()
        finally:
            self._end()

    def _rest(self, until: float, *, last: bool) -> Iterator[Iterator[Event]]:
        self._end_if(last=last)
        with self._looking:
            self._settle()
            if not self._closed:
                self._supply.finish()
        pace = Pace(MOST_AT_ONCE)
        while not self._stopped and time.monotonic() < until:
            events = self._next(pace.limit)
            if events is None:
                return
            pace.begin()
            yield events
            pace.end()

    def _end_if(self, *, last: bool) -> None:
        """End the counting if this is the last iteration."""
        with self._looking:
            if (last or self._is_last) and not (self._closed or self._ended):
                self._end_counting()
                self._ended = True

    def _next(self, limit: int) -> Iterator[Event] | None:
        """The next events after those in hand, or None if there are none yet."""
        with self._looking:
            self._settle()
            events, marked = ([], False) if self._closed else self._supply.take(limit)
        if not events:
            return None
        left = self.handout.begin(events, marked=marked)
        if self._stopped:  # in the middle of this
            self.handout.withdraw()
        return left

    def _settle(self) -> None:
        with self._looking:
            self.handout.end(_nothing if self._closed else self._supply.used)

    def _end(self) -> None:
        self._settle()
        self._reset()

    def _reset(self) -> None:
        self._draining = False
        self._stopped = self._closed

    def _is_over(self, deadline: float | None) -> bool:
        if self._draining or self._ended:
            return True
        return deadline is not None and time.monotonic() >= deadline

    def _grace_s(self, duration_s: float | None) -> float:
        return GRACE_S if duration_s or self._draining else math.inf

    def _longest_wait(self, deadline: float | None) -> float:
        limit = min(self._latency_s, STOP_CHECK_S)
        if deadline is not None:
            limit = min(limit, max(0.0, deadline - time.monotonic()))
        return limit


def _nothing(count: int) -> None:
    """The source is closed: no room is to be made in it."""


class Pace:
    """How many events are handed out before anything else is looked at, the time say.

    One at first, more while they go quickly; so that a consumer that needs long for each is not
    left alone with many of them, nor the room that they take in the buffer.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.limit = 1
        self._began = 0.0

    def begin(self) -> None:
        """A slice is handed out."""
        self._began = time.monotonic()

    def end(self) -> None:
        """It has been taken."""
        if time.monotonic() - self._began < QUICK_S:
            self.limit = min(self._most, 2 * self.limit)
        else:
            self.limit = max(1, self.limit // 4)
