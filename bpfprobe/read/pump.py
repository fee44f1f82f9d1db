"""Takes records out of a source as they come, and stops when told."""

from __future__ import annotations

import select
import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bpfprobe.engine import RecordSource

BATCH_RECORDS = 4096
STOP_CHECK_S = 0.1
"""The longest wait before `stop` is noticed."""
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
        deadline = None if duration_s is None else time.monotonic() + duration_s
        try:
            yield from self._until(deadline)
        finally:
            self._stopped = False

    def _until(self, deadline: float | None) -> Iterator[bytes]:
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
                self._wait(deadline)

    def _handed_out(self, deadline: float | None) -> Iterator[bytes]:
        """What has been taken, until the deadline."""
        taken = self._taken
        while taken and not self._stopped:
            yield taken.popleft()
            if deadline is not None and time.monotonic() >= deadline:
                return

    def _wait(self, deadline: float | None) -> None:
        """Until something is there; without a wake-up no longer than the latency bound."""
        limit = min(self._latency_s, STOP_CHECK_S)
        if deadline is not None:
            limit = min(limit, max(0.0, deadline - time.monotonic()))
        poll = select.poll()
        for fd in self._source.filenos():
            poll.register(fd, select.POLLIN)
        poll.poll(limit * 1000)
