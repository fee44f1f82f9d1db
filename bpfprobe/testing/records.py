"""Records as programs in the kernel send them, for tests that have no kernel."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from bpfprobe.model.layout import MARKS_PER_WORD, FieldKind
from bpfprobe.model.object import COUNTERS
from bpfprobe.model.scalar import Style

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bpfprobe.model.layout import Field, Layout

Given = int | float | bool | str | bytes | tuple[object, ...] | list[object] | None


def pack_record(
    layout: Layout, *, probe: int = 0, truncated: Iterable[str] = (), **values: Given
) -> bytes:
    """The record from which an event with these values is decoded.

    ::

        with Session(opened, target=target, engine=engine) as session:
            layout = session.event_type(opened).layout
            engine.push(pack_record(layout, pid=42, path="/etc/passwd", fd=3))

    ``probe`` is the place of the probe in its session, from 0. Text is a str or bytes; an array, an
    argument vector or a stack is a sequence; a symbol is its address. None is a fault, and so is a
    capture that is left out and can fault; any other field that is left out is 0 or empty.
    ``truncated`` names captures that are to be marked as cut. Raises ValueError for a name or a
    value that the layout has no room for.
    """
    _check_names(layout, values, truncated)
    head = bytearray(layout.head_size)
    tail = bytearray()
    for field in layout.fields:
        value = probe if field.name == "probe" else values.get(field.name)
        if field.kind is FieldKind.CONSTANT:
            if value not in (None, field.constant):
                raise ValueError(f"{field.name} is always {field.constant!r}")
            continue
        if field.name in truncated:
            _mark(head, layout, field, MARKS_PER_WORD)
        if value is None:
            if field.mark >= 0:
                _mark(head, layout, field, 0)
            elif field.name in values:
                raise ValueError(f"{field.name} cannot be a fault")
        if field.kind is FieldKind.TEXTS:
            head[field.offset : field.offset + field.size] = _places(layout, field, value, tail)
        elif field.in_tail:
            data = b"" if value is None else _tail_bytes(field, value)
            location = len(data) << 16 | layout.head_size + len(tail)
            struct.pack_into("<I", head, field.offset, location)
            tail += data
        elif value is not None:
            head[field.offset : field.offset + field.size] = _head_bytes(field, value)
    return bytes(head + tail)


def pack_counters(**counts: int) -> bytes:
    """What one CPU has counted of a probe, as it stands in the map ``counters``.

    ::

        engine.counters["counters", 0] = [pack_counters(produced=3, lost=1)]

    The names are those of `bpfprobe.model.object.COUNTERS`; what is left out is 0. Raises
    ValueError for any other.
    """
    unknown = counts.keys() - set(COUNTERS)
    if unknown:
        raise ValueError(f"there is no counter {', '.join(sorted(unknown))}")
    return struct.pack(f"<{len(COUNTERS)}Q", *(counts.get(name, 0) for name in COUNTERS))


def _check_names(layout: Layout, values: dict[str, Given], truncated: Iterable[str]) -> None:
    known = {field.name: field for field in layout.fields}
    unknown = [name for name in (*values, *truncated) if name not in known]
    if unknown:
        raise ValueError(f"{layout.name} has no field {', '.join(unknown)}")
    unmarked = [name for name in truncated if known[name].mark < 0]
    if unmarked:
        raise ValueError(f"{', '.join(unmarked)} cannot be truncated")


def _mark(head: bytearray, layout: Layout, field: Field, shift: int) -> None:
    word, bit = divmod(field.mark, MARKS_PER_WORD)
    at = layout.mark_offsets[word]
    marks = int.from_bytes(head[at : at + 4], "little") | 1 << bit + shift
    head[at : at + 4] = marks.to_bytes(4, "little")


def _tail_bytes(field: Field, value: Given) -> bytes:
    if field.kind is FieldKind.STACK:
        data = b"".join(_address(field, part) for part in _sequence(field, value))
    elif field.kind is FieldKind.STRINGS:
        data = b"".join(_text(field, part) + b"\0" for part in _sequence(field, value))
    elif field.kind is FieldKind.BYTES:
        if not isinstance(value, bytes):
            raise ValueError(f"{field.name} is bytes, not {value!r}")
        data = value
    else:
        data = _text(field, value)
    if len(data) > field.capacity:
        raise ValueError(f"{field.name} takes {len(data)} bytes, and {field.capacity} is the most")
    return data


def _places(layout: Layout, field: Field, value: Given, tail: bytearray) -> bytes:
    """Puts strings into the tail, and gives the places where they are; 0 for one that is None."""
    parts = [None] * field.count if value is None else _sequence(field, value)
    if len(parts) != field.count:
        raise ValueError(f"{field.name} has {field.count} elements, not {len(parts)}")
    places = []
    for part in parts:
        data = b"" if part is None else _text(field, part)
        if len(data) > field.capacity // field.count:
            raise ValueError(f"{field.name} has no room for {len(data)} bytes in one string")
        at = layout.head_size + len(tail)
        places.append(0 if part is None else len(data) << 16 | at)
        tail += data
    return struct.pack(f"<{field.count}I", *places)


def _head_bytes(field: Field, value: Given) -> bytes:
    if field.kind is FieldKind.COMM:
        text = _text(field, value)
        if len(text) >= field.size:
            raise ValueError(
                f"{field.name} has {len(text)} bytes, and {field.size - 1} is the most"
            )
        return text.ljust(field.size, b"\0")
    if field.kind is FieldKind.NAME:
        if value not in field.names:
            raise ValueError(f"{field.name} is one of {', '.join(field.names)}, not {value!r}")
        value = field.names.index(str(value))
    if field.kind is FieldKind.CHARACTER:
        value = ord(value) if isinstance(value, str) and len(value) == 1 else value
    if field.kind is not FieldKind.ARRAY:
        return _number(field, value, field.size)
    parts = _sequence(field, value)
    if len(parts) != field.count:
        raise ValueError(f"{field.name} has {field.count} elements, not {len(parts)}")
    size = field.size // field.count
    if field.bit_size:
        parts = [p << field.bit_offset if isinstance(p, int) else p for p in parts]
    return b"".join(_number(field, part, size) for part in parts)


def _number(field: Field, value: object, size: int) -> bytes:
    if field.style is Style.FLOAT:
        if not isinstance(value, (int, float)):
            raise ValueError(f"{field.name} is a float, not {value!r}")
        return struct.pack("<f" if size == 4 else "<d", value)
    if not isinstance(value, int):
        raise ValueError(f"{field.name} is a number, not {value!r}")
    try:
        return value.to_bytes(size, "little", signed=field.signed)
    except OverflowError:
        raise ValueError(f"{field.name} has {size} bytes, too few for {value}") from None


def _address(field: Field, value: object) -> bytes:
    if not isinstance(value, int) or not 0 <= value < 1 << 64:
        raise ValueError(f"{field.name} holds addresses, not {value!r}")
    return value.to_bytes(8, "little")


def _text(field: Field, value: object) -> bytes:
    data = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
    if not isinstance(data, bytes) or b"\0" in data:
        raise ValueError(f"{field.name} is text without a NUL, not {value!r}")
    return data


def _sequence(field: Field, value: Given) -> list[object]:
    if not isinstance(value, (tuple, list)):
        raise ValueError(f"{field.name} is a sequence, not {value!r}")
    return list(value)
