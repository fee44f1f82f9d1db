"""Many events of one probe at once, as arrays of numpy or a record batch of Arrow."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from bpfprobe.deliver.columns import (
    column_names,
    count_bits,
    heads_of,
    marked,
    probes_of,
    starts_of,
    texts,
)
from bpfprobe.errors import MissingLibraryError
from bpfprobe.model.chunk import EvenChunk, UnevenChunk, copies
from bpfprobe.model.layout import MARKS_PER_WORD, Field, FieldKind
from bpfprobe.model.scalar import Style

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from bpfprobe.deliver.decode import Decoder
    from bpfprobe.model.chunk import Chunk
    from bpfprobe.model.event import Event

_PLAIN = (FieldKind.INTEGER, FieldKind.FLOAT, FieldKind.SYMBOL)


class Batch:
    """Events of one probe, in order of arrival; ``len()`` tells how many.

    Without a copy the arrays stand in the buffer itself: they hold until the next batch is asked
    for. What is kept for longer shows other events, as programs write there again, and zeros when
    the session is closed.
    """

    def __init__(self, chunk: Chunk, decoder: Decoder, index: int) -> None:
        self._chunk, self._decoder = chunk, decoder
        self.type: type[Event] = decoder.types[index]
        """The class of the events."""
        self._layout = decoder.layouts[index]
        self._heads = heads_of(chunk, self._layout)

    def __len__(self) -> int:
        return self._chunk.count

    @property
    def probe(self) -> str:
        """The name of the probe."""
        return self._layout.name

    @property
    def array(self) -> NDArray[Any]:
        """A structured array, little-endian, with the names of `Event.names`; it is read-only.

        Without captures of variable length and constants, for which see `values`. Booleans are
        numbers that are 0 or not, characters their codes, texts of fixed length ``S16``, symbols
        their addresses. Where a value could not be read its bytes mean nothing: see `faulted`.
        """
        return self._heads[column_names(self._layout)]

    def faulted(self, name: str) -> NDArray[np.bool_]:
        """Where a field could not be read. Raises KeyError for an unknown name."""
        return marked(self._heads, self._field(name), 0)

    def cut(self, name: str) -> NDArray[np.bool_]:
        """Where only the beginning of a field was taken. Raises KeyError for an unknown name."""
        return marked(self._heads, self._field(name), MARKS_PER_WORD)

    def events(self) -> list[Event]:
        """The same as events, which outlive the batch."""
        return self._decoder.events(self._chunk)[0]

    def values(self, name: str) -> list[Any]:
        """A field of each event, as the events have it. Raises KeyError for an unknown name."""
        self._field(name)
        return [getattr(event, name) for event in self.events()]

    def arrow(self) -> Any:
        """A ``pyarrow.RecordBatch`` of its own memory, with a column for each of `Event.names`.

        A value that could not be read is null; where one was cut, `cut` tells. Text is ``binary``:
        it need not be UTF-8. Raises `MissingLibraryError` without pyarrow.
        """
        pa = arrow_library()
        names = list(self.type.names())
        events: list[Event] | None = None
        columns = []
        for field in map(self._field, names):
            column = self._arrow_column(pa, field)
            if column is None:
                events = self.events() if events is None else events
                column = _objects(pa, field, events)
            columns.append(column)
        return pa.RecordBatch.from_arrays(columns, names=names)

    def _arrow_column(self, pa: Any, field: Field) -> Any:
        """None for a kind that has to be made value by value."""
        if field.kind in (FieldKind.STRING, FieldKind.BYTES):
            offsets, data = texts(self._chunk, self._heads, field, self._layout.head_size)
            return self._arrow_texts(pa, field, offsets, data)
        if field.kind in _PLAIN:
            numbers = np.ascontiguousarray(self._heads[field.name])
            return pa.array(numbers, mask=self.faulted(field.name))
        if field.kind is FieldKind.BOOLEAN:
            return pa.array(self._heads[field.name] != 0, mask=self.faulted(field.name))
        if field.kind is FieldKind.COMM:
            return pa.array(self._heads[field.name].astype("S"), type=pa.binary())
        return None

    def _arrow_texts(
        self, pa: Any, field: Field, offsets: NDArray[np.int32], data: NDArray[np.uint8]
    ) -> Any:
        there = np.packbits(~self.faulted(field.name), bitorder="little")
        buffers = [pa.py_buffer(there), pa.py_buffer(offsets), pa.py_buffer(data)]
        return pa.Array.from_buffers(pa.binary(), len(self), buffers)

    def _field(self, name: str) -> Field:
        for field in self._layout.fields:
            if field.name == name and name != "probe":
                return field
        raise KeyError(name)

    @property
    def marks(self) -> tuple[int, int]:
        """How many values could not be read, and how many were cut."""
        return count_bits(self._heads, self._layout)

    def records(self) -> list[bytes]:
        """The records, copied."""
        return copies(self._chunk)


def batches_of(chunk: Chunk, decoder: Decoder) -> Iterator[Batch]:
    """A batch for each probe that there are records of, in the order of their first."""
    probes = probes_of(chunk)
    first = int(probes[0])
    if (probes == first).all():
        yield Batch(chunk, decoder, first)
        return
    starts = starts_of(chunk)
    sizes = (
        np.full(chunk.count, chunk.size) if isinstance(chunk, EvenChunk) else np.array(chunk.sizes)
    )
    found, at = np.unique(probes, return_index=True)
    for probe in found[np.argsort(at)]:
        own_ones = probes == probe
        part = UnevenChunk(
            chunk.chars, chunk.view, starts[own_ones].tolist(), sizes[own_ones].tolist()
        )
        yield Batch(part, decoder, int(probe))


def arrow_library() -> Any:
    """The module pyarrow. Raises `MissingLibraryError`."""
    try:
        return import_module("pyarrow")
    except ImportError as error:
        raise MissingLibraryError(
            "record batches need pyarrow", hint="pip install 'bpfprobe[arrow]'", code="NO_PYARROW"
        ) from error


def _objects(pa: Any, field: Field, events: list[Event]) -> Any:
    """A column of values that were decoded; text as bytes, which need not be UTF-8."""
    values = [_plain(getattr(event, field.name)) for event in events]
    if field.kind in (FieldKind.STRINGS, FieldKind.TEXTS):
        return pa.array(values, pa.list_(pa.binary()))
    if field.kind is FieldKind.STACK:
        return pa.array(values, pa.list_(pa.uint64()))
    if field.kind is FieldKind.ARRAY:
        kind = "float" if field.style is Style.FLOAT else "int" if field.signed else "uint"
        element = getattr(pa, f"{kind}{8 * field.size // field.count}")()
        return pa.array(values, pa.list_(element))
    return pa.array(values, pa.binary())


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    return [_plain(part) for part in value] if isinstance(value, tuple) else value
