"""Chunks of records -> events, as many at a time as the records allow."""

from __future__ import annotations

import struct
import sys

from bpfprobe.deliver.event_types import event_type, head_format
from bpfprobe.errors import DecodeError
from bpfprobe.model.chunk import EvenChunk
from bpfprobe.model.layout import MARKS_PER_WORD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Literal

    from bpfprobe.model.chunk import Chunk
    from bpfprobe.model.event import Event
    from bpfprobe.model.layout import Layout
    from bpfprobe.model.machine import SymbolRange

    One = Callable[[Any, int, int], Event]

FAULT_BITS = (1 << MARKS_PER_WORD) - 1
MOST_FORMATS = 512
"""How many formats are remembered: a probe with long strings may have records of any size."""


class Decoder:
    """Makes events of the records of a session's probes, whose layouts come in their order.

    ``look_up`` finds the symbol of an address in the kernel. Raises `DecodeError` (code LAYOUT)
    for a layout that contradicts itself.
    """

    def __init__(
        self,
        layouts: Sequence[Layout],
        look_up: Callable[[int], SymbolRange | None] | None = None,
    ) -> None:
        self.layouts = tuple(layouts)
        self.types = tuple(event_type(layout, look_up) for layout in layouts)
        """The class of each probe's events."""
        self._ones = [_one_by_one(*both) for both in zip(self.types, layouts, strict=True)]
        self._heads = [head_format(layout)[0] for layout in layouts]
        self._mark_places = {
            kind: [head_format(layout)[1][f"#{n}"] for n in range(len(layout.mark_offsets))]
            for kind, layout in zip(self.types, layouts, strict=True)
        }
        self._formats: dict[tuple[int, int, int, int], struct.Struct] = {}

    def events(self, chunk: Chunk) -> tuple[list[Event], bool]:
        """The events of a chunk, in order, and whether any has a fault or was cut.

        Fewer than there are records, if one is wrong: those before it. Raises `DecodeError` if the
        first is wrong.
        """
        if isinstance(chunk, EvenChunk):
            first = chunk.start + chunk.lead
            probe = chunk.view[first] | chunk.view[first + 1] << 8
            if _all_are(chunk, 0, "H", probe) and self._fits(chunk, probe):
                end = chunk.start + chunk.count * chunk.stride
                records = self._format(chunk, probe).iter_unpack(chunk.view[chunk.start : end])
                clean = all(_all_are(chunk, at, "I", 0) for at in self.layouts[probe].mark_offsets)
                return list(map(self.types[probe], records)), not clean
        events = self._each(chunk)
        return events, self.count_marks(events) != (0, 0)

    def event(self, record: bytes) -> Event:
        """The event of one record."""
        return self._one(int.from_bytes(record[:2], "little"))(record, 0, len(record))

    def count_marks(self, events: Sequence[Event]) -> tuple[int, int]:
        """How many values of the events could not be read, and how many were cut."""
        faults = truncated = 0
        places, item = self._mark_places, tuple.__getitem__
        for event in events:
            for place in places[type(event)]:
                marks = item(event, place)
                if marks:
                    faults += (marks & FAULT_BITS).bit_count()
                    truncated += (marks & ~FAULT_BITS).bit_count()
        return faults, truncated

    def _fits(self, chunk: EvenChunk, probe: int) -> bool:
        return probe < len(self.layouts) and chunk.size >= self.layouts[probe].head_size

    def _format(self, chunk: EvenChunk, probe: int) -> struct.Struct:
        """From the beginning of a record, the buffer's own bytes first, to that of the next."""
        key = (probe, chunk.lead, chunk.stride, chunk.size)
        known = self._formats.get(key)
        if known is None:
            layout = self.layouts[probe]
            tail = chunk.size - layout.head_size
            padding = chunk.stride - chunk.lead - chunk.size
            code = f"<{chunk.lead}x{self._heads[probe]}{tail}{'s' if layout.is_variable else 'x'}"
            if len(self._formats) >= MOST_FORMATS:
                self._formats.clear()
            known = self._formats[key] = struct.Struct(f"{code}{padding}x")
        return known

    def _each(self, chunk: Chunk) -> list[Event]:
        events: list[Event] = []
        chars, view = chunk.chars, chunk.view
        try:
            for start, size in chunk.places:
                probe = view[start] | view[start + 1] << 8 if size > 1 else 0
                events.append(self._one(probe)(chars, start, size))
        except DecodeError:
            if not events:
                raise
        return events

    def _one(self, probe: int) -> One:
        if probe >= len(self._ones):
            raise DecodeError(f"a record is of probe {probe}, which does not exist")
        return self._ones[probe]


def _all_are(chunk: EvenChunk, offset: int, code: Literal["H", "I"], value: int) -> bool:
    """Whether a number of the head has this value in each record."""
    size = 2 if code == "H" else 4
    step, first = chunk.stride // size, (chunk.start + chunk.lead + offset) // size
    seen = chunk.view.cast(code)[first : first + (chunk.count - 1) * step + 1 : step]
    return seen.tobytes() == value.to_bytes(size, sys.byteorder) * chunk.count


def _one_by_one(kind: type[Event], layout: Layout) -> One:
    """The function that makes an event of a record at a place in a buffer."""
    head = struct.Struct("<" + head_format(layout)[0])
    if head.size != layout.head_size:
        raise DecodeError(
            f"the fields of {layout.name} take {head.size} bytes, and its head {layout.head_size}",
            hint="two fields overlap, or one reaches beyond the head",
            code="LAYOUT",
        )
    unpack_from = head.unpack_from
    head_size, new = layout.head_size, tuple.__new__

    def fixed(chars: Any, start: int, size: int) -> Event:
        if size < head_size:
            raise _too_short(layout, size)
        return new(kind, unpack_from(chars, start))

    def variable(chars: Any, start: int, size: int) -> Event:
        if size < head_size:
            raise _too_short(layout, size)
        tail = chars[start + head_size : start + size]
        return new(kind, (*unpack_from(chars, start), tail))

    return variable if layout.is_variable else fixed


def _too_short(layout: Layout, size: int) -> DecodeError:
    return DecodeError(
        f"a record of {layout.name} has {size} bytes, and its head takes {layout.head_size}"
    )
