"""Takes records out of a source as they come, and stops when told."""

from __future__ import annotations

import select
import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from bpfprobe.engine import RecordSource

BATCH_RECORDS = 4096
STOP_CHECK_S = 0.1
"""The longest wait before `stop` is noticed."""
RECORDS_IN_A_ROW = 64
"""After so many records asyncio's other tasks get their turn."""
GRACE_S = 1.0
"""How long records are still handed out when the time is up."""


class Pump:
    """Hands out records one by one. What was taken and not handed out stays for the next time."""

    def __init__(
        self, source: RecordSource, latency_s: float, idle: Callable[[], object] = lambda: None
    ) -> None:
        self._source = source
        self._latency_s = latency_s
        self._idle = idle
        self._taken: deque[bytes] = deque()
        self._stopped = False

    def stop(self) -> None:
        """End `records`, or the next call of it, at the next record or within 100 ms.

        Safe to call from a signal handler.
        """
        self._stopped = True

    def records(self, duration_s: float | None = None) -> Iterator[bytes]:
        """Records until `stop`, or until ``duration_s`` seconds have passed.

        What was in the buffer when the time was up is still handed out, for a second at most.
        """
        deadline = _deadline(duration_s)
        for record in self._steps(deadline):
            if record is not None:
                yield record
            else:
                self._wait(deadline)

    async def records_async(self, duration_s: float | None = None) -> AsyncIterator[bytes]:
        """The same for asyncio, in the thread of its loop; other tasks run in between."""
        import asyncio  # costs more to import than the rest of this package

        deadline = _deadline(duration_s)
        for number, record in enumerate(self._steps(deadline)):
            if record is None:
                await self._wait_async(deadline)
                continue
            yield record
            if number % RECORDS_IN_A_ROW == 0:
                await asyncio.sleep(0)

    def _steps(self, deadline: float | None) -> Iterator[bytes | None]:
        """Records, and None whenever there is nothing to do but wait."""
        try:
            while not self._stopped:
                if deadline is not None and time.monotonic() >= deadline:
                    self._taken.extend(self._source.take(1 << 24))
                    yield from self._handed_out(deadline + GRACE_S)
                    return
                yield from self._handed_out(deadline)
                if self._taken:
                    continue
                self._taken.extend(self._source.take(BATCH_RECORDS))
                if not self._taken:
                    self._idle()
                    yield None
        finally:
            self._stopped = False

    def _handed_out(self, deadline: float | None) -> Iterator[bytes]:
        """What has been taken, until the deadline."""
        taken = self._taken
        while taken and not self._stopped:
            yield taken.popleft()
            if deadline is not None and time.monotonic() >= deadline:
                return

    def _longest_wait(self, deadline: float | None) -> float:
        limit = min(self._latency_s, STOP_CHECK_S)
        if deadline is not None:
            limit = min(limit, max(0.0, deadline - time.monotonic()))
        return limit

    def _wait(self, deadline: float | None) -> None:
        """Until something is there; without a wake-up no longer than the latency bound."""
        poll = select.poll()
        for fd in self._source.filenos():
            poll.register(fd, select.POLLIN)
        poll.poll(self._longest_wait(deadline) * 1000)

    async def _wait_async(self, deadline: float | None) -> None:
        import asyncio  # as above

        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        filenos = self._source.filenos()
        for fd in filenos:
            loop.add_reader(fd, readable.set)
        try:
            await asyncio.wait_for(readable.wait(), self._longest_wait(deadline))
        except TimeoutError:
            pass  # the latency bound: what has come without a wake-up is taken now
        finally:
            for fd in filenos:
                loop.remove_reader(fd)


def _deadline(duration_s: float | None) -> float | None:
    return None if duration_s is None else time.monotonic() + duration_s
