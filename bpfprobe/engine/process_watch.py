"""A buffer on each CPU in which the kernel tells of processes that begin, and of what they map."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bpfprobe.engine.cpus import online_cpus
from bpfprobe.engine.fork_guard import ForkGuard, OwnedFd
from bpfprobe.engine.memory import Mapping
from bpfprobe.engine.perf_event import process_request
from bpfprobe.engine.process_records import read_records
from bpfprobe.engine.syscalls import Kernel

if TYPE_CHECKING:
    from bpfprobe.model.mapping import ProcessRecord

_BUFFER_BYTES = 256 << 10
"""Of each CPU: about two thousand records, or the starts of two hundred programs."""
_HEAD_AT = 1024  # data_head in struct perf_event_mmap_page; data_tail follows


class ProcessWatch:
    """Open from the constructor on, until `close`; nothing is told of what was before.

    A CPU that comes online later is not watched. What does not fit is lost: look often. Raises
    OSError where the kernel allows none (it takes CAP_PERFMON), `LoadError` without /sys.
    """

    def __init__(self) -> None:
        self._guard = ForkGuard()
        self._buffers: list[_CpuBuffer] = []
        kernel = Kernel()
        self._guard.keep(self)
        try:
            for cpu in online_cpus():
                self._buffers.append(_CpuBuffer(kernel, cpu))
        except OSError:
            self.close()
            raise

    def take(self) -> list[ProcessRecord]:
        """What was told since the last time, by time."""
        timed = [one for buffer in self._buffers for one in read_records(buffer.take())]
        return [record for _, record in sorted(timed, key=lambda one: one[0])]

    def close(self) -> None:
        """Close all. Closing twice does nothing."""
        self._guard.forget(self)
        while self._buffers:
            self._buffers.pop().close()


class _CpuBuffer:
    def __init__(self, kernel: Kernel, cpu: int) -> None:
        page = os.sysconf("SC_PAGE_SIZE")
        asked = process_request(cpu)
        self._fd = OwnedFd(kernel.perf_event_open(asked.attr, asked.pid, asked.cpu))
        self._size = max(page, _BUFFER_BYTES)
        try:
            self._mapping = Mapping(kernel, self._fd.number, page + self._size, writable=True)
        except OSError:
            self._fd.close()
            raise
        self._positions = self._mapping.words(_HEAD_AT, 16)
        self._chars = self._mapping.chars(page)

    def take(self) -> bytes:
        """The bytes that were written since the last time."""
        tail, head = self._positions[1], self._positions[0]
        start, end = tail % self._size, tail % self._size + head - tail
        data = self._chars[start : min(end, self._size)]
        if end > self._size:
            data += self._chars[: end - self._size]
        self._positions[1] = head
        return data

    def close(self) -> None:
        self._mapping.close()
        self._fd.close()
