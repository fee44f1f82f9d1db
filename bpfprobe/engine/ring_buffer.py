"""Records out of a BPF ring buffer (BPF_MAP_TYPE_RINGBUF, Linux 5.8), read in place.

The map is a page with the consumer's position, a page with the producer's, and the data, mapped
twice in a row so that a record that wraps is still contiguous (kernel/bpf/ringbuf.c). Positions
only grow. A record is a header of 8 bytes (length and two flags, then a page number), the data, and
padding to 8 bytes.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bpfprobe.engine.memory import Mapping
from bpfprobe.errors import LoadError

if TYPE_CHECKING:
    from bpfprobe.engine.fork_guard import ForkGuard
    from bpfprobe.engine.memory import Chars
    from bpfprobe.engine.syscalls import Kernel

_BUSY, _DISCARD = 1 << 31, 1 << 30
_LENGTH = _DISCARD - 1
_HEADER_SIZE = 8

_STEP = 256  # records between two looks at the positions


class RingReader:
    """Walks the records. ``consumer`` and ``producer`` are views of one u64 each.

    ``headers`` views the data as u32, ``chars`` as bytes; both hold the data twice.

    Each position and header is read by one 8 or 4 byte move. x86 keeps loads in order, and stores
    in order, as the walk needs it: position, header, data, and only then the new position. An arm64
    would need a load-acquire of the position and of each header, and a store-release at the end
    (what passes in an interpreter between two of them makes a difference unlikely, not impossible).
    """

    def __init__(
        self,
        consumer: memoryview,
        producer: memoryview,
        headers: memoryview,
        chars: Chars,
        size: int,
    ) -> None:
        self._consumer, self._producer = consumer, producer
        self._headers, self._chars, self._mask = headers, chars, size - 1

    def take(self, limit: int) -> list[bytes]:
        """At most ``limit`` records, freed in the buffer; stops at one still being written."""
        records: list[bytes] = []
        while len(records) < limit and self._step(records, min(limit, len(records) + _STEP)):
            pass
        return records

    def _step(self, records: list[bytes], limit: int) -> bool:
        """Take until there are ``limit``, then free them; False if there is nothing more."""
        start = at = self._consumer[0]
        end = self._producer[0]
        headers, chars, mask = self._headers, self._chars, self._mask
        append, count = records.append, limit - len(records)
        while at < end and count:
            place = at & mask
            header = headers[place >> 2]
            if header & _BUSY:
                break
            length = header & _LENGTH
            if not header & _DISCARD:
                append(chars[place + _HEADER_SIZE : place + _HEADER_SIZE + length])
                count -= 1
            at += (length + _HEADER_SIZE + 7) & ~7
        if at == start:
            return False
        self._consumer[0] = at
        return not count


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

    def take(self, limit: int) -> list[bytes]:
        """At most ``limit`` records, oldest first; none once closed."""
        return [] if self._reader is None else self._reader.take(limit)

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
            consumer.words("Q", 0, 8),
            rest.words("Q", 0, 8),
            rest.words("I", page, 2 * size),
            rest.chars(page),
            size,
        )
