"""Records as they lie in a buffer, many at a time."""

from __future__ import annotations

from bpfprobe.model.noun import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Protocol
else:
    Protocol = object


class Chars(Protocol):
    """Bytes that may change under us; a slice is a copy, made by one memcpy."""

    def __getitem__(self, place: slice, /) -> bytes:
        """Copy a slice."""
        ...

    def __buffer__(self, flags: int, /) -> memoryview:
        """Give a view, for struct and numpy."""
        ...


@dataclass(frozen=True, slots=True)
class EvenChunk:
    """``count`` records of ``size`` bytes, one every ``stride`` bytes from ``start`` on.

    Each stands behind ``lead`` bytes of the buffer's own; ``start`` is where those of the first
    begin. ``size`` may be up to 7 more than the record has, which it never knows itself. All
    distances are multiples of 4. Valid until the source is told to free it.
    """

    chars: Chars
    view: memoryview
    start: int
    lead: int
    stride: int
    size: int
    count: int

    @property
    def places(self) -> Iterator[tuple[int, int]]:
        """Start and size of each record."""
        first, stride = self.start + self.lead, self.stride
        return ((first + n * stride, self.size) for n in range(self.count))


@dataclass(frozen=True, slots=True)
class UnevenChunk:
    """Records of any sizes: ``starts`` and ``sizes`` in bytes, ``starts`` multiples of 4."""

    chars: Chars
    view: memoryview
    starts: list[int]
    sizes: list[int]

    @property
    def count(self) -> int:
        """How many records there are."""
        return len(self.starts)

    @property
    def places(self) -> Iterator[tuple[int, int]]:
        """Start and size of each record."""
        return zip(self.starts, self.sizes, strict=True)


Chunk = EvenChunk | UnevenChunk


def copies(chunk: Chunk) -> list[bytes]:
    """Each record as bytes of its own."""
    chars = chunk.chars
    return [chars[start : start + size] for start, size in chunk.places]


def chunk_of(records: list[bytes]) -> Chunk:
    """Records as a chunk in memory of its own, even where they are all of one size."""
    sizes = [len(record) for record in records]
    room = [-(-size // 8) * 8 for size in sizes]
    data = b"".join(record.ljust(size, b"\0") for record, size in zip(records, room, strict=True))
    view = memoryview(data)
    if len(set(sizes)) == 1 and sizes[0]:
        return EvenChunk(data, view, 0, 0, room[0], sizes[0], len(records))
    starts = [0]
    for size in room[:-1]:
        starts.append(starts[-1] + size)
    return UnevenChunk(data, view, starts[: len(records)], sizes)
