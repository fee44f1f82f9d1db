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
import sys
import time
from typing import TYPE_CHECKING

from bpfprobe.engine import bpf
from bpfprobe.engine.cpus import cpu_life, online_cpus
from bpfprobe.engine.fork_guard import OwnedFd
from bpfprobe.engine.memory import Mapping
from bpfprobe.engine.perf_event import output_request
from bpfprobe.engine.privilege import explain_refusal, memlock_kb, read_privileges
from bpfprobe.errors import BpfprobeError, LoadError
from bpfprobe.model.chunk import EvenChunk, UnevenChunk

if TYPE_CHECKING:
    from bpfprobe.engine.fork_guard import ForkGuard
    from bpfprobe.engine.syscalls import Kernel
    from bpfprobe.model.chunk import Chars, Chunk

_RECORD_LOST, _RECORD_SAMPLE = 2, 9  # PERF_RECORD_LOST, PERF_RECORD_SAMPLE
_HEADER_SIZE = 8
_LOST = struct.Struct("=QQ")  # id, count
_HEAD_AT = 1024  # data_head in struct perf_event_mmap_page; data_tail follows

_IOC_ENABLE = 0x2400

_SAMPLE_LEAD = 12  # its header, and a u32: the length of the data, padding counted
_FEW = 8  # for fewer records than that, comparing all at once is not worth it
_RESCAN_S = 0.1


class PerfReader:
    """Walks the records of one CPU. ``positions`` views data_head and data_tail.

    ``view`` and ``chars`` are the data as bytes. As for the ring buffer, x86 keeps the loads and
    stores in the order that the walk needs.
    """

    def __init__(self, positions: memoryview, view: memoryview, chars: Chars, size: int) -> None:
        self._positions = positions
        self._view, self._words, self._halves = view, view.cast("I"), view.cast("H")
        self._chars, self._size = chars, size
        self._chunk: Chunk | None = None
        self._ends: list[int] = []  # the position behind each record of an uneven chunk
        self._start = self._end = 0
        self.lost = 0

    def look(self, limit: int, limit_bytes: int) -> Chunk | None:
        """Samples from the tail on."""
        head, at = self._positions[0], self._positions[1]
        self._chunk = None
        if at < head:
            self._chunk = self._even(at, head, limit, limit_bytes)
            if self._chunk is None:
                self._chunk = self._uneven(at, head, limit, limit_bytes)
        return self._chunk

    def free(self, count: int) -> None:
        """Free the first ``count`` samples of the chunk, and what stood between them."""
        chunk = self._chunk
        if chunk is None or count <= 0:
            return
        if isinstance(chunk, EvenChunk):
            end = self._start + count * chunk.stride
        else:
            end = self._end if count >= chunk.count else self._ends[count - 1]
        # Last, and with nothing after it: where a signal ends the walk, it was done or it was not.
        self._chunk = None
        self._positions[1] = end

    def progress(self) -> tuple[int, int]:
        """The two positions."""
        return self._positions[1], self._positions[0]

    def _even(self, at: int, head: int, limit: int, limit_bytes: int) -> EvenChunk | None:
        """The samples of one length from ``at`` on that do not wrap, if there are enough.

        Their headers are compared all at once.
        """
        place = at & (self._size - 1)  # a multiple of 8, so that a header never wraps
        stride = self._halves[(place >> 1) + 3]
        if stride < _SAMPLE_LEAD:
            return None
        count = min(
            limit, limit_bytes // stride, (head - at) // stride, (self._size - place) // stride
        )
        if count < _FEW:
            return None
        end = place + count * stride
        kinds = self._words[place >> 2 : end >> 2 : stride >> 2].tobytes()
        sizes = self._halves[(place >> 1) + 3 : end >> 1 : stride >> 1].tobytes()
        if kinds != _RECORD_SAMPLE.to_bytes(4, sys.byteorder) * count:
            return None
        if sizes != stride.to_bytes(2, sys.byteorder) * count:
            return None
        self._start = at
        return EvenChunk(
            self._chars, self._view, place, _SAMPLE_LEAD, stride, stride - _SAMPLE_LEAD, count
        )

    def _uneven(self, at: int, head: int, limit: int, limit_bytes: int) -> UnevenChunk | None:
        """The samples from ``at`` on, one after the other; one that wraps is alone in its chunk."""
        words, halves, buffer_size = self._words, self._halves, self._size
        starts, sizes, ends = list[int](), list[int](), list[int]()
        mask, enough = buffer_size - 1, at + limit_bytes
        while at < head and len(starts) < limit and (at < enough or not starts):
            place = at & mask
            size = halves[(place >> 1) + 3]
            if size < _HEADER_SIZE:
                raise LoadError(f"a perf record of {size} bytes", code="PERF_RECORD")
            kind, end = words[place >> 2], place + size
            if kind == _RECORD_SAMPLE and end > buffer_size:
                if not starts:
                    return self._wrapped_sample(at, place, end)
                break
            at += size
            if kind == _RECORD_SAMPLE:
                starts.append(place + _SAMPLE_LEAD)
                sizes.append(size - _SAMPLE_LEAD)
                ends.append(at)
            elif not starts:
                # Nobody is handed this one, so it goes at once and is counted once.
                lost = self._lost_in(place, end) if kind == _RECORD_LOST else 0
                self._positions[1] = at
                self.lost += lost
            else:
                at -= size
                break
        self._end, self._ends = at, ends
        return UnevenChunk(self._chars, self._view, starts, sizes) if starts else None

    def _wrapped_sample(self, at: int, place: int, end: int) -> UnevenChunk:
        data = self._wrapped(place + _SAMPLE_LEAD, end)
        self._end, self._ends = at + end - place, [at + end - place]
        return UnevenChunk(data, memoryview(data), [0], [len(data)])

    def _lost_in(self, place: int, end: int) -> int:
        count: int = _LOST.unpack_from(self._wrapped(place + _HEADER_SIZE, end))[1]
        return count

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
        except BaseException:
            self.close()
            raise
        size = page * pages
        self.reader = PerfReader(
            mapping.words(_HEAD_AT, 16),
            mapping.view(page, size),
            mapping.chars(page),
            size,
        )

    @property
    def fileno(self) -> int:
        """The perf event's descriptor."""
        return self._fd.number

    def lend(self) -> None:
        """The memory stays readable."""
        if self._mapping is not None:
            self._mapping.lend()

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
        self._retired: list[CpuBuffer] = []
        self._turn = 0
        self._looked_at: PerfReader | None = None
        self._next_scan = 0.0
        self._retired_lost = self._retired_bytes = 0
        self._open, self._lent = True, False
        guard.keep(self)
        try:
            self._scan()
        except BaseException:  # Ctrl-C too: nobody else knows of the buffers
            self.close()
            raise

    @property
    def lost(self) -> int:
        """Records that the kernel told to be lost."""
        held = (*self._buffers.values(), *self._retired)
        return self._retired_lost + sum(buffer.reader.lost for buffer in held)

    def filenos(self) -> tuple[int, ...]:
        """A descriptor for each CPU that is online; ask again after each `take`."""
        return tuple(
            buffer.fileno for cpu, buffer in self._buffers.items() if cpu not in self._gone
        )

    def look(self, limit: int, limit_bytes: int) -> Chunk | None:
        """Records of one CPU, of another first each time; of buffers that are done with, last."""
        if not self._open:
            return None
        if time.monotonic() >= self._next_scan:
            self._scan()
        cpus = sorted(self._buffers)
        self._turn = turn = (self._turn + 1) % max(1, len(cpus))
        for buffer in (self._buffers[cpu] for cpu in cpus[turn:] + cpus[:turn]):
            chunk = buffer.reader.look(limit, limit_bytes)
            if chunk is not None:
                self._looked_at = buffer.reader
                return chunk
        return self._look_at_retired(limit, limit_bytes)

    def free(self, count: int) -> None:
        """Free the first records of the chunk; nothing once closed."""
        if self._open and self._looked_at is not None:
            self._looked_at.free(count)

    def lend(self) -> None:
        """The memory stays readable, that of CPUs yet to come too."""
        self._lent = True
        for buffer in (*self._buffers.values(), *self._retired):
            buffer.lend()

    def progress(self) -> tuple[int, int]:
        """Bytes freed and bytes written, over all CPUs."""
        each = [buffer.reader.progress() for buffer in (*self._buffers.values(), *self._retired)]
        freed, written = (sum(part) for part in zip((0, 0), *each, strict=True))
        return freed + self._retired_bytes, written + self._retired_bytes

    def close(self) -> None:
        """Unmap and close all. Closing twice does nothing."""
        self._open = False
        self._guard.forget(self)
        held = [*self._retired, *self._buffers.values()]
        self._retired.clear()
        self._buffers.clear()
        for buffer in held:  # in a forked child they are not mapped: nothing is to be read
            self._retired_lost += buffer.reader.lost
            buffer.close()

    def _look_at_retired(self, limit: int, limit_bytes: int) -> Chunk | None:
        while self._retired:
            reader = self._retired[-1].reader
            chunk = reader.look(limit, limit_bytes)
            if chunk is not None:
                self._looked_at = reader
                return chunk
            self._retired_lost += reader.lost
            self._retired_bytes += reader.progress()[0]
            self._retired.pop().close()
        return None

    def _scan(self) -> None:
        """Open what has come online. An event dies with its CPU, and does not return with it."""
        self._next_scan = time.monotonic() + _RESCAN_S
        online = set(online_cpus())
        # Gone and back between two looks shows in the life that has begun since.
        back = {c for c, b in self._buffers.items() if c in self._gone or b.life != cpu_life(c)}
        for cpu in sorted(online & back):
            self._retired.append(self._buffers.pop(cpu))
        self._gone = set(self._buffers) - online
        for cpu in sorted(online - set(self._buffers)):
            self._open_cpu(cpu)

    def _open_cpu(self, cpu: int) -> None:
        try:
            self._buffers[cpu] = CpuBuffer(
                self._kernel, self._map_fd, cpu, self._pages, self._wakeup
            )
            if self._lent:
                self._buffers[cpu].lend()
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
