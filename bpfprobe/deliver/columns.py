"""Chunks of records -> arrays of numpy, a column a field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bpfprobe.errors import DecodeError
from bpfprobe.model.chunk import EvenChunk, UnevenChunk
from bpfprobe.model.layout import MARKS_PER_WORD, FieldKind
from bpfprobe.model.noun import replace
from bpfprobe.model.scalar import Style

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bpfprobe.model.chunk import Chunk
    from bpfprobe.model.layout import Field, Layout

_PROBE = np.dtype("<u2")  # what each record begins with


def head_dtype(layout: Layout, *, before: int = 0, stride: int = 0) -> np.dtype[Any]:
    """All of a record's head, with ``before`` bytes in front of it, every ``stride`` bytes.

    Text in the tail is the u32 that tells where it is; the words of marks are ``#0``, ``#1``.
    """
    names, formats, offsets = [], [], []
    for field in layout.fields:
        if field.kind is not FieldKind.CONSTANT:
            names.append(field.name)
            formats.append(_format(field))
            offsets.append(before + field.offset)
    for number, offset in enumerate(layout.mark_offsets):
        names.append(f"#{number}")
        formats.append("<u4")
        offsets.append(before + offset)
    size = stride or before + layout.head_size
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": size})


def column_names(layout: Layout) -> list[str]:
    """The fields that an array has: those in the head whose bytes are the value itself."""
    return [
        field.name
        for field in layout.fields
        if field.kind is not FieldKind.CONSTANT and not in_tail(field) and field.name != "probe"
    ]


def in_tail(field: Field) -> bool:
    """Whether the value, or a part of it, stands behind the head."""
    return field.in_tail or field.kind is FieldKind.TEXTS


def _format(field: Field) -> Any:
    if field.kind is FieldKind.COMM:
        return f"S{field.size}"
    size = field.size // field.count
    letter = "f" if field.style is Style.FLOAT else "i" if field.signed else "u"
    code = f"<{letter}{size}"
    return (code, (field.count,)) if field.count > 1 or field.kind is FieldKind.ARRAY else code


def sound(chunk: Chunk, layouts: Sequence[Layout]) -> Chunk | None:
    """The chunk up to a record that is wrong; None if that is the first."""
    probes, sizes = probes_of(chunk), _sizes_of(chunk)
    heads = np.array([layout.head_size for layout in layouts], np.int64)
    if np.max(probes) < len(layouts) and np.min(sizes) >= np.max(heads):
        return chunk
    known = probes < len(layouts)
    good = known & (sizes >= heads[np.where(known, probes, 0)])
    if good.all():
        return chunk
    count = int(good.argmin())
    if not count:
        return None
    if isinstance(chunk, EvenChunk):
        return replace(chunk, count=count)
    return replace(chunk, starts=chunk.starts[:count], sizes=chunk.sizes[:count])


def wrong(chunk: Chunk) -> DecodeError:
    """What to say of a chunk whose first record is wrong."""
    start, size = next(chunk.places)
    probe = int.from_bytes(chunk.chars[start : start + 2], "little")
    return DecodeError(f"a record of {size} bytes is of no probe, or too short for probe {probe}")


def own(chunk: Chunk) -> Chunk:
    """A copy of the chunk in memory of its own."""
    if isinstance(chunk, EvenChunk):
        end = chunk.start + chunk.count * chunk.stride
        data = bytes(chunk.view[chunk.start : end])
        return replace(chunk, chars=data, view=memoryview(data), start=0)
    first, last = chunk.starts[0], chunk.starts[-1] + chunk.sizes[-1]
    data = bytes(chunk.view[first:last]) + bytes(-(last - first) % 8)
    starts = [start - first for start in chunk.starts]
    return UnevenChunk(data, memoryview(data), starts, chunk.sizes)


def starts_of(chunk: Chunk) -> NDArray[np.int64]:
    """Where each record starts."""
    if isinstance(chunk, EvenChunk):
        first = chunk.start + chunk.lead
        return first + chunk.stride * np.arange(chunk.count, dtype=np.int64)
    return np.array(chunk.starts, np.int64)


def _sizes_of(chunk: Chunk) -> Any:
    """The size of each record, or of all."""
    return chunk.size if isinstance(chunk, EvenChunk) else np.array(chunk.sizes, np.int64)


def probes_of(chunk: Chunk) -> NDArray[Any]:
    """The number of each record's probe; of one too short for that, one that does not exist.

    A view, where the records are of one size.
    """
    if isinstance(chunk, EvenChunk) and chunk.size >= _PROBE.itemsize:
        first = chunk.start + chunk.lead
        return np.ndarray((chunk.count,), _PROBE, chunk.view, first, (chunk.stride,))
    data = np.frombuffer(chunk.view, np.uint8)
    starts = starts_of(chunk)
    inside = np.minimum(starts + 1, len(data) - 1)
    probes = data[np.minimum(starts, len(data) - 1)].astype(np.int64) | (
        data[inside].astype(np.int64) << 8
    )
    return np.where(_sizes_of(chunk) < _PROBE.itemsize, 1 << 16, probes)


def heads_of(chunk: Chunk, layout: Layout) -> NDArray[Any]:
    """The heads of a chunk of one probe: a view where the records are of one size, or a copy."""
    if isinstance(chunk, EvenChunk):
        dtype = head_dtype(layout, before=chunk.lead, stride=chunk.stride)
        return np.frombuffer(chunk.view, dtype, chunk.count, chunk.start)
    data = np.frombuffer(chunk.view, np.uint8)
    places = starts_of(chunk)[:, None] + np.arange(layout.head_size)
    heads: NDArray[Any] = data[places].view(head_dtype(layout))[:, 0]
    return heads


def marked(heads: NDArray[Any], field: Field, shift: int) -> NDArray[np.bool_]:
    """Where a field's fault bit is set, or with ``shift`` MARKS_PER_WORD, its truncation bit."""
    if field.mark < 0:
        return np.zeros(len(heads), np.bool_)
    word, bit = divmod(field.mark, MARKS_PER_WORD)
    bits: NDArray[np.bool_] = (heads[f"#{word}"] >> np.uint32(bit + shift) & 1).astype(np.bool_)
    return bits


def count_bits(heads: NDArray[Any], layout: Layout) -> tuple[int, int]:
    """How many faults and how many truncations there are."""
    faults = truncated = 0
    for number in range(len(layout.mark_offsets)):
        words = heads[f"#{number}"]
        if words.any():
            low = words & np.uint32((1 << MARKS_PER_WORD) - 1)
            faults += _ones(low)
            truncated += _ones(words - low)
    return faults, truncated


def _ones(words: NDArray[Any]) -> int:
    return int(np.unpackbits(np.ascontiguousarray(words).view(np.uint8)).sum())


def texts(
    chunk: Chunk, heads: NDArray[Any], field: Field, head_size: int
) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """A string field as Arrow has them: where each begins and ends in all of their bytes.

    Raises `DecodeError` for one that reaches beyond its record.
    """
    places = np.where(marked(heads, field, 0), 0, heads[field.name]).astype(np.int64)
    sizes = places >> 16
    inside = ((places & 0xFFFF) >= head_size) & ((places & 0xFFFF) + sizes <= _sizes_of(chunk))
    if not (inside | (sizes == 0)).all():
        raise DecodeError(f"{field.name} reaches beyond its record")
    offsets = np.zeros(len(heads) + 1, np.int32)
    np.cumsum(sizes, out=offsets[1:])
    begins = starts_of(chunk) + (places & 0xFFFF) - offsets[:-1]
    index = np.repeat(begins, sizes) + np.arange(offsets[-1])
    return offsets, np.frombuffer(chunk.view, np.uint8)[index]
