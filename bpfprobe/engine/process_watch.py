"""A buffer on each CPU in which the kernel tells of processes that begin, and of what they map."""

from __future__ import annotations

import errno
import os
import select
import time
from bisect import bisect_left
from typing import TYPE_CHECKING

from bpfprobe.engine.cpus import cpu_life, online_cpus
from bpfprobe.engine.fork_guard import ForkGuard, OwnedFd
from bpfprobe.engine.memory import Mapping
from bpfprobe.engine.perf_event import process_request
from bpfprobe.engine.privilege import explain_refusal, memlock_kb, read_privileges
from bpfprobe.engine.process_records import read_records
from bpfprobe.engine.syscalls import Kernel
from bpfprobe.errors import BpfprobeError, LoadError
from bpfprobe.model.mapping import RecordsLost

if TYPE_CHECKING:
    from bpfprobe.model.mapping import ProcessRecord

BUFFER_BYTES = 256 << 10
"""Of each CPU: about two thousand records, or the starts of two hundred programs."""
AT_ONCE, NEVER = 1, 1 << 31
"""After how many bytes `ProcessWatch.wait` is woken."""

_HEAD_AT = 1024  # data_head in struct perf_event_mmap_page; data_tail follows
_RESCAN_S = 1.0


class ProcessWatch:
    """Open from the constructor on, until `close`; nothing is told of what was before.

    Take what was told often, since what does not fit is lost, or `wait` for it. For one thread, but
    for `end`. Raises `PrivilegeError` (it takes CAP_PERFMON), `LoadError` (MEMLOCK,
    PROCESS_RECORDS; CPUS without /sys).
    """

    def __init__(
        self,
        kernel: Kernel | None = None,
        guard: ForkGuard | None = None,
        wakeup_bytes: int = NEVER,
        buffer_bytes: int = BUFFER_BYTES,
    ) -> None:
        self._kernel, self._guard = kernel or Kernel(), guard or ForkGuard()
        self._wakeup_bytes, self._buffer_bytes = wakeup_bytes, buffer_bytes
        self._buffers: dict[int, _CpuBuffer] = {}
        self._told: list[tuple[int, ProcessRecord]] = []
        self._poll = select.poll()
        self._woken = OwnedFd(_event())
        self._poll.register(self._woken.number, select.POLLIN)
        self._ended = self._closed = False
        self._next_scan = 0.0
        self._guard.keep(self)
        try:
            self._scan()
        except BaseException:  # Ctrl-C too: nobody else knows of the buffers
            self.close()
            raise

    def take(self) -> list[ProcessRecord]:
        """What was told since the last time, by time.

        Where a CPU has come online, what happened there before is unknown, and counts as lost.
        """
        if self._closed:  # in a forked child, say
            return []
        # What comes while one CPU after the other is read waits for the next time: its beginning
        # may have been on a CPU that had been read.
        until_ns = time.monotonic_ns()
        for buffer in self._buffers.values():
            self._told += read_records(buffer.take())
        self._told.sort(key=_time_ns)
        count = bisect_left(self._told, until_ns, key=_time_ns)
        records = [record for _, record in self._told[:count]]
        del self._told[:count]
        if time.monotonic() >= self._next_scan and self._scan():
            records.append(RecordsLost(0))
        return records

    def wait(self) -> list[ProcessRecord]:
        """The same, when there is something; nothing once it has ended."""
        while not self._ended:
            # Only a look tells of a CPU that has come.
            ready = self._poll.poll(0 if self._told else 1000 * _RESCAN_S)
            records = self.take()
            for fd, event in ready:
                if event & (select.POLLHUP | select.POLLERR):
                    self._forget(fd)
            if records:
                return records
        return []

    def end(self) -> None:
        """Wake who waits, for the last time. From any thread."""
        self._ended = True
        if self._woken.number >= 0:
            os.eventfd_write(self._woken.number, 1)

    def close(self) -> None:
        """Close all. Closing twice does nothing."""
        self._closed = True
        self._guard.forget(self)
        while self._buffers:
            self._buffers.popitem()[1].close()
        self._woken.close()

    def _forget(self, fd: int) -> None:
        """A CPU has gone offline, and its event with it."""
        for cpu, buffer in list(self._buffers.items()):
            if buffer.fileno == fd:
                self._poll.unregister(fd)
                self._buffers.pop(cpu).close()

    def _scan(self) -> bool:
        """Whether CPUs have come. An event dies with its CPU, and does not return with it."""
        self._next_scan = time.monotonic() + _RESCAN_S
        for cpu, buffer in list(self._buffers.items()):
            if buffer.life != cpu_life(cpu):
                self._forget(buffer.fileno)
        come = [cpu for cpu in online_cpus() if cpu not in self._buffers]
        return any([self._open(cpu) for cpu in come])

    def _open(self, cpu: int) -> bool:
        try:
            buffer = _CpuBuffer(self._kernel, cpu, self._wakeup_bytes, self._buffer_bytes)
        except OSError as error:
            if error.errno == errno.ENODEV:
                return False  # the CPU went offline between the look and the call
            raise self._refused(cpu, error) from error
        self._buffers[cpu] = buffer
        self._poll.register(buffer.fileno, select.POLLIN)
        return True

    def _refused(self, cpu: int, error: OSError) -> BpfprobeError:
        code, kb = error.errno or 0, self._buffer_bytes // 1024
        if code == errno.EACCES:
            return explain_refusal("watch processes", read_privileges())
        if code in (errno.EPERM, errno.ENOMEM):
            limit = memlock_kb()
            return LoadError(
                f"the records of processes need {kb} kB of locked memory a CPU, and a page; "
                f"ulimit -l is {'unlimited' if limit is None else f'{limit} kB'}",
                errno=code,
                hint="ulimit -l, sysctl kernel.perf_event_mlock_kb, or CAP_IPC_LOCK",
                code="MEMLOCK",
            )
        return LoadError(
            f"the records of processes on CPU {cpu} could not be opened: {error.strerror}",
            errno=code,
            code="PROCESS_RECORDS",
        )


def _event() -> int:
    try:
        return os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
    except OSError as error:
        raise LoadError(
            f"the kernel has no event to end the watching of processes by: {error.strerror}",
            errno=error.errno or 0,
            hint="ulimit -n with a larger number" if error.errno == errno.EMFILE else None,
            code="PROCESS_RECORDS",
        ) from error


def _time_ns(told: tuple[int, ProcessRecord]) -> int:
    """When it was, by CLOCK_MONOTONIC."""
    return told[0]


class _CpuBuffer:
    """The records of one CPU. ``life`` is the CPU's of the time when they began."""

    def __init__(self, kernel: Kernel, cpu: int, wakeup_bytes: int, buffer_bytes: int) -> None:
        page = os.sysconf("SC_PAGE_SIZE")
        self.life = cpu_life(cpu)
        asked = process_request(cpu, wakeup_bytes)
        self._fd = OwnedFd(kernel.perf_event_open(asked.attr, asked.pid, asked.cpu))
        self._size = max(page, buffer_bytes)
        try:
            # Writable, or the kernel overwrites what was not read and does not say so.
            self._mapping = Mapping(kernel, self._fd.number, page + self._size, writable=True)
        except BaseException:
            self._fd.close()
            raise
        self._positions = self._mapping.words(_HEAD_AT, 16)
        self._chars = self._mapping.chars(page)

    @property
    def fileno(self) -> int:
        """The perf event's descriptor."""
        return self._fd.number

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
