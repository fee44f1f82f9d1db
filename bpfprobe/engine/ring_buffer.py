"""Records out of a BPF ring buffer (BPF_MAP_TYPE_RINGBUF, Linux 5.8), read in place.

The map is a page with the consumer's position, a page with the producer's, and the data, mapped
twice in a row so that a record that wraps is still contiguous (kernel/bpf/ringbuf.c). Positions
only grow. A record is a header of 8 bytes (length and two flags, then a page number), the data, and
padding to 8 bytes.
"""

from __future__ import annotations

import os
import sys

from bpfprobe.engine.memory import Mapping
from bpfprobe.errors import LoadError
from bpfprobe.model.chunk import EvenChunk, UnevenChunk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bpfprobe.engine.fork_guard import ForkGuard
    from bpfprobe.engine.syscalls import Kernel
    from bpfprobe.model.chunk import Chars, Chunk

_BUSY, _DISCARD = 1 << 31, 1 << 30
_LENGTH = _DISCARD - 1
_HEADER_SIZE = 8

_FEW = 8  # for fewer records than that, comparing all at once is not worth it


class RingReader:
    """Walks the records. ``consumer`` and ``producer`` are views of one u64 each.

    ``view`` and ``chars`` are the data as bytes; both hold the data twice.

    Each position and header is read by one 8 or 4 byte move. x86 keeps loads in order, and stores
    in order, as the walk needs it: position, header, data, and only then the new position. An arm64
    would need a load-acquire of the position and of each header, and a store-release at the end
    (what passes in an interpreter between two of them makes a difference unlikely, not impossible).
    """

    def __init__(
        self,
        consumer: memoryview,
        producer: memoryview,
        view: memoryview,
        chars: Chars,
        size: int,
    ) -> None:
        self._consumer, self._producer = consumer, producer
        self._view, self._headers = view, view.cast("I")
        self._chars, self._mask = chars, size - 1
        self._chunk: Chunk | None = None
        self._end = self._behind = 0  # where the chunk ends: its position, its place in the data

    def look(self, limit: int, limit_bytes: int) -> Chunk | None:
        """Records from the consumer's position on; ends at one that is still being written."""
        at, end = self._consumer[0], self._producer[0]
        self._chunk = self._even(at, end, limit, limit_bytes)
        if self._chunk is None:
            self._chunk = self._uneven(at, end, limit, limit_bytes)
        return self._chunk

    def free(self, count: int) -> None:
        """Free the first ``count`` records of the chunk, and what was discarded among them."""
        chunk = self._chunk
        if chunk is None or count <= 0:
            return
        if count >= chunk.count:
            behind = 0
        elif isinstance(chunk, EvenChunk):
            behind = (chunk.count - count) * chunk.stride
        else:
            behind = self._behind - chunk.starts[count] + _HEADER_SIZE
        # Last, and with nothing after it: where a signal ends the walk, it was done or it was not.
        self._chunk = None
        self._consumer[0] = self._end - behind

    def progress(self) -> tuple[int, int]:
        """The two positions."""
        return self._consumer[0], self._producer[0]

    def _even(self, at: int, end: int, limit: int, limit_bytes: int) -> EvenChunk | None:
        """The records of one length from ``at`` on, if they are enough to be worth it.

        Their headers are compared all at once.
        """
        if at == end:
            return None
        place = at & self._mask
        header = self._headers[place >> 2]
        if header >= _DISCARD:  # or busy
            return None
        stride = (header + _HEADER_SIZE + 7) & ~7
        count = min(limit, (end - at) // stride, limit_bytes // stride)
        if count < _FEW:
            return None
        words, first = stride >> 2, place >> 2
        seen = self._headers[first : first + count * words : words].tobytes()
        wanted = header.to_bytes(4, sys.byteorder)
        if seen != wanted * count:
            count = _common(seen, wanted)
            if count < _FEW:
                return None
        self._end = at + count * stride
        return EvenChunk(self._chars, self._view, place, _HEADER_SIZE, stride, header, count)

    def _uneven(self, at: int, end: int, limit: int, limit_bytes: int) -> UnevenChunk | None:
        """The records from ``at`` on, one after the other."""
        headers, starts, sizes = self._headers, list[int](), list[int]()
        first = place = at & self._mask
        last = place + end - at
        enough = min(last, place + limit_bytes)
        while place < last and len(starts) < limit and (place < enough or not starts):
            header = headers[place >> 2]
            if header < _DISCARD:
                starts.append(place + _HEADER_SIZE)
                sizes.append(header)
            elif header & _BUSY:
                break
            place += ((header & _LENGTH) + _HEADER_SIZE + 7) & ~7
        self._end, self._behind = at + place - first, place
        if not starts:
            if place > first:  # nothing but discarded records: nobody will be handed them
                self._consumer[0] = self._end
            return None
        return UnevenChunk(self._chars, self._view, starts, sizes)


def _common(seen: bytes, wanted: bytes) -> int:
    """How many of the words at the beginning are the one that is wanted."""
    for at in range(0, len(seen), 4):
        if seen[at : at + 4] != wanted:
            return at // 4
    return len(seen) // 4


class RingBuffer:
    """The mapped ring buffer of a map; the map's own descriptor tells when there is something."""

    def __init__(self, kernel: Kernel, guard: ForkGuard, map_fd: int, size: int) -> None:
        page = os.sysconf("SC_PAGE_SIZE")
        if size < page or size & (size - 1):
            raise LoadError(
                f"a ring buffer has a power of two of bytes, at least {page}; not {size}",
                code="BUFFER_SIZE",
            )
        self._map_fd, self._guard = map_fd, guard
        self._mappings: list[Mapping] = []
        try:
            self._reader: RingReader | None = self._map(kernel, size, page)
        except OSError as error:
            for mapping in self._mappings:
                mapping.close()
            raise LoadError(
                f"the ring buffer of {size} bytes could not be mapped: {error.strerror}",
                errno=error.errno or 0,
                code="RING_MAP",
            ) from error
        guard.keep(self)

    def filenos(self) -> tuple[int, ...]:
        """The map's descriptor, until closed."""
        return () if self._reader is None else (self._map_fd,)

    def look(self, limit: int, limit_bytes: int) -> Chunk | None:
        """Records, oldest first; none once closed."""
        return None if self._reader is None else self._reader.look(limit, limit_bytes)

    def free(self, count: int) -> None:
        """Free the first of them; nothing once closed."""
        if self._reader is not None:
            self._reader.free(count)

    def lend(self) -> None:
        """The memory stays readable."""
        for mapping in self._mappings:
            mapping.lend()

    def progress(self) -> tuple[int, int]:
        """Bytes freed and bytes written."""
        return (0, 0) if self._reader is None else self._reader.progress()

    def close(self) -> None:
        """Unmap; the map stays open. Closing twice does nothing."""
        self._reader = None
        self._guard.forget(self)
        while self._mappings:
            self._mappings.pop().close()

    def _map(self, kernel: Kernel, size: int, page: int) -> RingReader:
        consumer = Mapping(kernel, self._map_fd, page, writable=True)
        self._mappings.append(consumer)
        rest = Mapping(kernel, self._map_fd, page + 2 * size, page, writable=False)
        self._mappings.append(rest)
        return RingReader(
            consumer.words(0, 8),
            rest.words(0, 8),
            rest.view(page, 2 * size),
            rest.chars(page),
            size,
        )
