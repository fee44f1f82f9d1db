"""BPF maps of the kinds that tracers use, on one CPU."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from bpfprobe.model.object import MapDef, MapKind

if TYPE_CHECKING:
    from tests.machine.memory import Memory

NO_EXIST, EXIST = 1, 2  # flags of an update
RECORD_HEADER_SIZE = 8


class Table:
    """A hash, an LRU hash, or an array of either kind: keys with values that have addresses."""

    def __init__(self, definition: MapDef, memory: Memory) -> None:
        self.definition = definition
        self._memory = memory
        self._places: dict[bytes, int] = {}
        self._fixed = definition.kind in (MapKind.ARRAY, MapKind.PERCPU_ARRAY)
        if self._fixed:
            # Values of an array lie side by side: a program may have the address of the first.
            size, count = definition.value_size, definition.max_entries
            start = memory.make(definition.initial.ljust(size * count, b"\0"))
            for number in range(count):
                self._places[number.to_bytes(4, "little")] = start + number * size

    def address(self, key: bytes) -> int:
        """Where the value is; 0 where there is none."""
        place = self._places.get(key, 0)
        if place and self.definition.kind is MapKind.LRU_HASH:
            self._places[key] = self._places.pop(key)
        return place

    def set(self, key: bytes, value: bytes, flags: int = 0) -> int:
        """Put a value, and give 0 or a negative errno."""
        known = key in self._places
        if known and flags == NO_EXIST:
            return -errno.EEXIST
        if not known and (flags == EXIST or self._fixed):
            return -errno.ENOENT if flags == EXIST else -errno.E2BIG
        if not known:
            if len(self._places) >= self.definition.max_entries:
                if self.definition.kind is not MapKind.LRU_HASH:
                    return -errno.E2BIG
                self.remove(next(iter(self._places)))
            self._places[key] = self._memory.make(bytes(self.definition.value_size))
        self._memory.store(self._places[key], value)
        return 0

    def remove(self, key: bytes) -> int:
        """Take a key away, and give 0 or a negative errno."""
        if self._fixed:
            return -errno.EINVAL
        if key not in self._places:
            return -errno.ENOENT
        self._memory.drop(self._places.pop(key))
        return 0

    def items(self) -> dict[bytes, bytes]:
        """Keys and values now."""
        size = self.definition.value_size
        return {key: self._memory.peek(at, size) for key, at in self._places.items()}


class Channel:
    """A ring buffer or a perf buffer: the records that programs sent, until they are taken."""

    def __init__(self, definition: MapDef) -> None:
        self.definition = definition
        self.wakeups = 0
        self._records: list[bytes] = []
        self._reserved: dict[int, int] = {}

    @property
    def pending(self) -> int:
        """Bytes that wait or are reserved, as the ring counts them."""
        sizes = [*map(len, self._records), *self._reserved.values()]
        return sum((size + 7) // 8 * 8 + RECORD_HEADER_SIZE for size in sizes)

    def has_room(self, size: int) -> bool:
        """Whether a record of so many bytes fits; a perf buffer has room here."""
        if self.definition.kind is not MapKind.RINGBUF:
            return True
        needed = (size + 7) // 8 * 8 + RECORD_HEADER_SIZE
        return self.pending + needed <= self.definition.max_entries

    def send(self, record: bytes, *, wake: bool) -> None:
        """Add a record."""
        self._records.append(record)
        self.wakeups += wake

    def reserve(self, address: int, size: int) -> None:
        """Note a record that is being written."""
        self._reserved[address] = size

    def settle(self, address: int) -> int:
        """The size of a record that was being written, and is no more."""
        return self._reserved.pop(address)

    def take(self) -> list[bytes]:
        """All records, which makes room for others."""
        taken, self._records = self._records, []
        return taken


def make_map(definition: MapDef, memory: Memory) -> Table | Channel:
    """The map of a definition."""
    if definition.kind in (MapKind.RINGBUF, MapKind.PERF_EVENT_ARRAY):
        return Channel(definition)
    return Table(definition, memory)
