"""Records out of perf buffers: one a CPU, behind a PERF_EVENT_ARRAY map.

A buffer is a page of positions and 2^n pages of data (<linux/perf_event.h>); positions only grow. A
record is a header (u32 type, u16 misc, u16 size) and its body, all in multiples of 8 bytes, and may
wrap at the end of the data.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import time
from typing import TYPE_CHECKING

from bpfprobe.engine import bpf
from bpfprobe.engine.cpus import cpu_life, online_cpus
from bpfprobe.engine.fork_guard import OwnedFd
from bpfprobe.engine.memory import Mapping
from bpfprobe.engine.perf_event import output_request
from bpfprobe.engine.privilege import explain_refusal, memlock_kb, read_privileges
from bpfprobe.errors import BpfprobeError, LoadError

if TYPE_CHECKING:
    from bpfprobe.engine.fork_guard import ForkGuard
    from bpfprobe.engine.memory import Chars
    from bpfprobe.engine.syscalls import Kernel

_RECORD_LOST, _RECORD_SAMPLE = 2, 9  # PERF_RECORD_LOST, PERF_RECORD_SAMPLE
_HEADER_SIZE = 8
_LOST = struct.Struct("=QQ")  # id, count
_HEAD_AT = 1024  # data_head in struct perf_event_mmap_page; data_tail follows

_IOC_ENABLE = 0x2400

_STEP = 256  # records between two looks at the positions
_RESCAN_S = 0.1


class PerfReader:
    """Walks the records of one CPU. ``positions`` views data_head and data_tail.

    ``chars`` is the data, which ``words`` and ``halves`` view as u32 and u16. As for the ring
    buffer, x86 keeps the loads and stores in the order that the walk needs.
    """

    def __init__(
        self,
        positions: memoryview,
        words: memoryview,
        halves: memoryview,
        chars: Chars,
        size: int,
    ) -> None:
        self._positions, self._words, self._halves = positions, words, halves
        self._chars, self._size = chars, size
        self.lost = 0

    def take(self, limit: int) -> list[bytes]:
        """At most ``limit`` samples, freed in the buffer. Losses are added to ``lost``."""
        records: list[bytes] = []
        while len(records) < limit and self._step(records, min(limit, len(records) + _STEP)):
            pass
        return records

    def _step(self, records: list[bytes], limit: int) -> bool:
        """Take until there are ``limit``, then free them; False if there is nothing more."""
        positions = self._positions
        head, start = positions[0], positions[1]
        at = start
        words, halves, chars, buffer_size = self._words, self._halves, self._chars, self._size
        append, mask, count = records.append, buffer_size - 1, limit - len(records)
        while at < head and count:
            place = at & mask  # a multiple of 8, so that a header never wraps
            size = halves[(place >> 1) + 3]
            if size < _HEADER_SIZE:
                raise LoadError(f"a perf record of {size} bytes", code="PERF_RECORD")
            if words[place >> 2] == _RECORD_SAMPLE:
                # The body is its own length (u32, padding counted) and the data.
                end = place + size
                if end <= buffer_size:
                    append(chars[place + 12 : end])
                else:
                    append(self._wrapped(place + 12, end))
                count -= 1
            elif words[place >> 2] == _RECORD_LOST:
                body = self._wrapped(place + _HEADER_SIZE, place + size)
                self.lost += _LOST.unpack_from(body)[1]
            at += size
        if at == start:
            return False
        positions[1] = at
        return not count

    def _wrapped(self, start: int, end: int) -> bytes:
        """The bytes from ``start`` to ``end``, of which either may be past the end of the data."""
        size, mask = self._size, self._size - 1
        if start >= size or end <= size:
            return self._chars[start & mask : (start & mask) + end - start]
        return self._chars[start:size] + self._chars[: end - size]


class CpuBuffer:
    """The perf buffer of one CPU, installed in the map under the CPU's number.

    ``life`` is the CPU's of the time when it was opened.
    """

    def __init__(self, kernel: Kernel, map_fd: int, cpu: int, pages: int, wakeup: int) -> None:
        page = os.sysconf("SC_PAGE_SIZE")
        self.life = cpu_life(cpu)  # before the event is opened: one that dies at once is noticed
        asked = output_request(cpu, wakeup)
        self._fd = OwnedFd(kernel.perf_event_open(asked.attr, asked.pid, asked.cpu))
        self._mapping: Mapping | None = None
        try:
            # Writable, or the kernel overwrites what was not read (perf_mmap in events/core.c).
            mapping = Mapping(kernel, self.fileno, page * (1 + pages), writable=True)
            self._mapping = mapping
            number = struct.pack("=I", self.fileno)
            bpf.update(kernel, map_fd, struct.pack("=I", cpu), number)
            fcntl.ioctl(self.fileno, _IOC_ENABLE, 0)
        except OSError:
            self.close()
            raise
        size = page * pages
        self.reader = PerfReader(
            mapping.words("Q", _HEAD_AT, 16),
            mapping.words("I", page, size),
            mapping.words("H", page, size),
            mapping.chars(page),
            size,
        )

    @property
    def fileno(self) -> int:
        """The perf event's descriptor."""
        return self._fd.number

    def close(self) -> None:
        """Unmap and close, which also takes it out of the map."""
        if self._mapping is not None:
            self._mapping.close()
        self._fd.close()


class PerfBuffer:
    """The buffers of all CPUs that are online, or come online while this is open.

    ``lost`` counts records that the kernel told to be lost. It tells only with a later record, so
    what counts is what the programs count themselves.
    """

    def __init__(
        self, kernel: Kernel, guard: ForkGuard, map_fd: int, pages_per_cpu: int, wakeup_bytes: int
    ) -> None:
        if pages_per_cpu < 1 or pages_per_cpu & (pages_per_cpu - 1):
            raise LoadError(
                f"a perf buffer has a power of two of pages, at least 1; not {pages_per_cpu}",
                code="BUFFER_SIZE",
            )
        self._kernel, self._guard, self._map_fd = kernel, guard, map_fd
        self._pages = pages_per_cpu
        # A wake-up that waits for more than the buffer holds would never come.
        half = pages_per_cpu * os.sysconf("SC_PAGE_SIZE") // 2
        self._wakeup = max(1, min(wakeup_bytes, half))
        self._buffers: dict[int, CpuBuffer] = {}
        self._gone: set[int] = set()
        self._first = 0
        self._next_scan = 0.0
        self._retired_lost = 0
        self._last: list[bytes] = []
        self._open = True
        guard.keep(self)
        try:
            self._scan()
        except BpfprobeError:
            self.close()
            raise

    @property
    def lost(self) -> int:
        """Records that the kernel told to be lost."""
        return self._retired_lost + sum(buffer.reader.lost for buffer in self._buffers.values())

    def filenos(self) -> tuple[int, ...]:
        """A descriptor for each CPU that is online; ask again after each `take`."""
        return tuple(
            buffer.fileno for cpu, buffer in self._buffers.items() if cpu not in self._gone
        )

    def take(self, limit: int) -> list[bytes]:
        """At most ``limit`` records, those of a CPU together, another CPU first each time."""
        if not self._open:
            return []
        if time.monotonic() >= self._next_scan:
            self._scan()
        records, self._last = self._last[:limit], self._last[limit:]
        cpus = sorted(self._buffers)
        self._first = (self._first + 1) % max(1, len(cpus))
        for cpu in cpus[self._first :] + cpus[: self._first]:
            if len(records) >= limit:
                break
            records += self._buffers[cpu].reader.take(limit - len(records))
        return records

    def close(self) -> None:
        """Unmap and close all. Closing twice does nothing."""
        self._open = False
        self._guard.forget(self)
        while self._buffers:
            _, buffer = self._buffers.popitem()
            self._retired_lost += buffer.reader.lost
            buffer.close()

    def _scan(self) -> None:
        """Open what has come online. An event dies with its CPU, and does not return with it."""
        self._next_scan = time.monotonic() + _RESCAN_S
        online = set(online_cpus())
        # Gone and back between two looks shows in the life that has begun since.
        back = {c for c, b in self._buffers.items() if c in self._gone or b.life != cpu_life(c)}
        for cpu in sorted(online & back):
            old = self._buffers.pop(cpu)
            self._last += old.reader.take(1 << 30)
            self._retired_lost += old.reader.lost
            old.close()
        self._gone = set(self._buffers) - online
        for cpu in sorted(online - set(self._buffers)):
            self._open_cpu(cpu)

    def _open_cpu(self, cpu: int) -> None:
        try:
            self._buffers[cpu] = CpuBuffer(
                self._kernel, self._map_fd, cpu, self._pages, self._wakeup
            )
        except OSError as error:
            if error.errno == errno.ENODEV:
                return  # the CPU went offline between the look and the call
            raise self._refused(cpu, error) from error

    def _refused(self, cpu: int, error: OSError) -> BpfprobeError:
        code, page_kb = error.errno or 0, os.sysconf("SC_PAGE_SIZE") // 1024
        if code == errno.EACCES:
            return explain_refusal(f"open a perf buffer on CPU {cpu}", read_privileges())
        if code in (errno.EPERM, errno.ENOMEM):
            kb = (self._pages + 1) * page_kb
            limit = memlock_kb()
            return LoadError(
                f"the perf buffer of CPU {cpu} needs {kb} kB of locked memory, {kb} kB a CPU; "
                f"ulimit -l is {'unlimited' if limit is None else f'{limit} kB'}",
                errno=code,
                hint="fewer pages per CPU, ulimit -l, sysctl kernel.perf_event_mlock_kb, or "
                "CAP_IPC_LOCK",
                code="MEMLOCK",
            )
        return LoadError(
            f"the perf buffer of CPU {cpu} could not be opened: {error.strerror}",
            errno=code,
            code="PERF_MAP",
        )
