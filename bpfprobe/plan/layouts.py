"""Captures -> layout: where each value stands in the record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import spec_error
from bpfprobe.model.layout import HEADER, MARKS_PER_WORD, Field, FieldKind, Layout
from bpfprobe.model.noun import replace
from bpfprobe.model.plan import RangeRead
from bpfprobe.model.scalar import Style
from bpfprobe.model.stack import MAX_FRAMES, StackValue
from bpfprobe.model.value import (
    ArgumentVector,
    ArrayValue,
    BytesAt,
    CommText,
    ConstantText,
    PlaceText,
    TextArray,
    TextAt,
)
from bpfprobe.model.walk import can_fail

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bpfprobe.model.bound import Bound, BoundCapture

COMM_BYTES = 16
MAX_RECORD_BYTES = 30000
"""Two strings of 16 KiB do not fit in the memory of a CPU, a value of 32 KiB at most."""
MAX_ARGV_BYTES = 16384
MIN_SHARE_BYTES = 16
"""The strings of an array share the room of one, each with so much at least."""
ADDRESS_BYTES = 8

_HEADER = (
    ("probe", 0, 2),
    ("time", 16, 8),
    ("pid", 12, 4),
    ("tid", 8, 4),
    ("cpu", 2, 2),
)
"""As programs write it: three u64, of which the second is the thread as the kernel gives it."""
_KINDS = {
    Style.BOOLEAN: FieldKind.BOOLEAN,
    Style.FLOAT: FieldKind.FLOAT,
    Style.CHARACTER: FieldKind.CHARACTER,
    Style.SYMBOL: FieldKind.SYMBOL,
    Style.SYMBOL_TEXT: FieldKind.SYMBOL_TEXT,
}
_FIRST_MARKS = 4
_HEADER_BYTES = 24


def make_layout(bound: Bound, together: Sequence[RangeRead] = ()) -> Layout:
    """The record of a probe's event; what is read together stands together.

    Raises `SpecError` when it would be too big.
    """
    spec = bound.spec
    names = {capture.capture.name for capture in bound.captures}
    of_hit = {name: f"_{name}" if name in names else name for name in ("probe", *HEADER)}
    fields = [Field(of_hit[name], FieldKind.INTEGER, at, size) for name, at, size in _HEADER]
    at = _HEADER_BYTES
    if spec.comm:
        fields.append(Field(of_hit["comm"], FieldKind.COMM, at, COMM_BYTES))
        at += COMM_BYTES
    fallible = [c for c in bound.captures if can_fail(c.value)]
    marks = {id(capture): number for number, capture in enumerate(fallible)}
    words = [_FIRST_MARKS]
    for _ in range(1, -(-len(fallible) // MARKS_PER_WORD)):
        words.append(at)
        at += 4
    shapes = [_shape(c, spec.string_bytes, marks.get(id(c), -1)) for c in bound.captures]
    ranges = {read.names[0]: read for read in together}
    follow = {name for read in together for name in read.names[1:]}
    offsets: dict[str, int] = {}
    units = [ranges.get(s.name) or s for s in shapes if s.name not in follow]
    for unit in sorted(units, key=_alignment, reverse=True):
        at = _put(unit, at, offsets)
    fields.extend(replace(shape, offset=offsets[shape.name]) for shape in shapes)
    head = -(-at // 8) * 8
    tail = sum(field.capacity for field in fields)
    if head + tail > MAX_RECORD_BYTES:
        raise spec_error(
            "EVENT_TOO_BIG",
            f"the event could take {head + tail} bytes, and {MAX_RECORD_BYTES} is the most",
            spec.point_span,
            f"string_bytes bounds each string: it is {spec.string_bytes} now",
        )
    return Layout(spec.name, tuple(fields), head, tail, tuple(words))


def _shape(capture: BoundCapture, string_bytes: int, mark: int) -> Field:
    name, value = capture.capture.name, capture.value
    if isinstance(value, CommText):
        return Field(name, FieldKind.COMM, 0, COMM_BYTES)
    if isinstance(value, ConstantText):
        text = value.value.decode("utf-8", "surrogateescape")
        return Field(name, FieldKind.CONSTANT, 0, 0, constant=text)
    if isinstance(value, PlaceText):
        return Field(name, FieldKind.NAME, 0, 4, names=value.names)
    if isinstance(value, TextAt):
        capacity = min(string_bytes, value.most) if value.size else string_bytes
        return Field(name, FieldKind.STRING, 0, 4, capacity=capacity, mark=mark)
    if isinstance(value, BytesAt):
        return Field(name, FieldKind.BYTES, 0, 4, capacity=string_bytes, mark=mark)
    if isinstance(value, TextArray):
        each = max(MIN_SHARE_BYTES, string_bytes // value.count)
        size, room = 4 * value.count, each * value.count
        kind = FieldKind.TEXTS
        return Field(name, kind, 0, size, count=value.count, capacity=room, mark=mark)
    if isinstance(value, ArgumentVector):
        capacity = min(4 * string_bytes, MAX_ARGV_BYTES)
        return Field(name, FieldKind.STRINGS, 0, 4, capacity=capacity, mark=mark)
    if isinstance(value, StackValue):
        capacity = MAX_FRAMES * ADDRESS_BYTES
        return Field(name, FieldKind.STACK, 0, 4, capacity=capacity, mark=mark, user=value.user)
    if isinstance(value, ArrayValue):
        element = value.element
        size = element.size * value.count
        return Field(
            name,
            FieldKind.ARRAY,
            0,
            size,
            element.signed,
            value.count,
            mark=mark,
            style=element.style,
            bit_offset=value.bit_offset,
            bit_size=value.bit_size,
        )
    kind = _KINDS.get(value.type.style, FieldKind.INTEGER)
    scalar = value.type
    return Field(name, kind, 0, scalar.size, scalar.signed, mark=mark, style=scalar.style)


def _alignment(field: Field | RangeRead) -> int:
    if isinstance(field, RangeRead):
        return max(load.type.size for load in field.loads)
    if field.kind in (FieldKind.COMM, FieldKind.CONSTANT):
        return 1
    return field.size // field.count


def _put(unit: Field | RangeRead, at: int, offsets: dict[str, int]) -> int:
    """Place a field or a range at ``at``, or as soon as all of it is aligned; where it ends."""
    if isinstance(unit, Field):
        at += -at % _alignment(unit)
        offsets[unit.name] = at
    else:
        start = unit.loads[0].offset
        at += (start - at) % _alignment(unit)
        for name, load in zip(unit.names, unit.loads, strict=True):
            offsets[name] = at + load.offset - start
    return at + unit.size
