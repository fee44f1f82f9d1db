"""Layout -> a class of events."""

from __future__ import annotations

import struct
from operator import itemgetter

from bpfprobe.errors import DecodeError
from bpfprobe.model.address import KernelAddress, address_type
from bpfprobe.model.event import Event
from bpfprobe.model.layout import MARKS_PER_WORD, Field, FieldKind, Layout
from bpfprobe.model.scalar import Style

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from bpfprobe.model.machine import SymbolRange

try:
    # The fields of named tuples: half the cost of a property.
    from _collections import _tuplegetter as item_property  # type: ignore[import-not-found] # no stub
except ImportError:  # another Python than CPython

    def item_property(place: int, _doc: str) -> Any:
        """An item of a tuple as a property."""
        return property(itemgetter(place))


_INTEGER_CODES = {1: "B", 2: "H", 4: "I", 8: "Q"}
_FLOAT_CODES = {4: "f", 8: "d"}
_AS_THEY_ARE = (FieldKind.INTEGER, FieldKind.FLOAT)


def event_type(
    layout: Layout, look_up: Callable[[int], SymbolRange | None] | None = None
) -> type[Event]:
    """A subclass of `Event` for the layout.

    It is made from what `head_format` unpacks a record's head to, and for a layout whose records
    differ in length, from the bytes behind the head as one item more, of which there may be too
    many. ``look_up`` finds the symbol of an address in the kernel when one is asked for.
    """
    _, places = head_format(layout)
    tail_place = len(set(places.values()))
    marks = [places[f"#{n}"] for n in range(len(layout.mark_offsets))]
    namespace: dict[str, Any] = {
        "__slots__": (),
        "probe": layout.name,
        "layout": layout,
        "raw": _raw_method(layout, places, marks, tail_place),
    }
    for field in layout.fields:
        if field.name == "probe":
            continue
        if field.kind in _AS_THEY_ARE and field.mark < 0:
            namespace[field.name] = item_property(places[field.name], "")
            continue
        getter = _getter(field, layout.head_size, places, tail_place, address_type(look_up))
        if field.kind is not FieldKind.TEXTS:  # in which each string has its own fault
            getter = _guarded(field, getter, marks)
        namespace[field.name] = property(getter)
    if "time" in namespace:
        namespace.setdefault("_time", namespace["time"])  # what events are ordered by
    if any(field.mark >= 0 for field in layout.fields):
        namespace["faults"] = property(_marked(layout, marks, 0))
        namespace["truncated"] = property(_marked(layout, marks, MARKS_PER_WORD))
    return type(layout.name, (Event,), namespace)


def head_format(layout: Layout) -> tuple[str, dict[str, int]]:
    """The struct format of the head, and the place of each field in what it unpacks to.

    The words of marks are ``#0``, ``#1`` and so on. The number of the probe is left out: whoever
    knows the layout knows it.
    """
    entries = [(at, "I", 4, f"#{n}") for n, at in enumerate(layout.mark_offsets)]
    for field in layout.fields:
        if field.kind is not FieldKind.CONSTANT and field.name != "probe":
            entries.append((field.offset, _code(field), field.size, field.name))
    code, at = "", 0
    places: dict[str, int] = {}
    for place, (offset, one, size, name) in enumerate(sorted(entries)):
        code += f"{offset - at}x" * (offset > at) + one
        places[name] = place
        at = offset + size
    return code + f"{layout.head_size - at}x" * (layout.head_size > at), places


def _code(field: Field) -> str:
    if field.kind in (FieldKind.COMM, FieldKind.ARRAY, FieldKind.TEXTS):
        return f"{field.size}s"
    return _number_code(field, field.size)


def _number_code(field: Field, size: int) -> str:
    """The format of a number, or of an element of an array."""
    if field.style is Style.FLOAT:
        return _FLOAT_CODES[size]
    code = _INTEGER_CODES[size]
    return code.lower() if field.signed else code


def _getter(
    field: Field,
    head_size: int,
    places: dict[str, int],
    tail_place: int,
    address: type[KernelAddress],
) -> Callable[[Any], Any]:
    if field.kind is FieldKind.CONSTANT:
        return lambda _event, text=field.constant: text  # type: ignore[misc]  # a bound default
    value = itemgetter(places[field.name])
    if field.kind in _AS_THEY_ARE:
        return value
    if field.kind is FieldKind.NAME:
        return lambda event: _name_of(field, value(event))
    if field.kind is FieldKind.BOOLEAN:
        return lambda event: value(event) != 0
    if field.kind is FieldKind.CHARACTER:
        return lambda event: chr(value(event))
    if field.kind is FieldKind.SYMBOL:
        return lambda event: address(value(event))
    if field.kind is FieldKind.SYMBOL_TEXT:
        return lambda event: str(address(value(event)))
    if field.kind is FieldKind.COMM:
        return lambda event: decode_text(value(event).partition(b"\0")[0])
    if field.kind is FieldKind.ARRAY:
        return _array_getter(field, value, address)
    if field.kind is FieldKind.TEXTS:
        return _texts_getter(field, head_size, value, itemgetter(tail_place))
    located = _located(field, head_size, value, tail_place)
    if field.kind is FieldKind.STACK:
        return lambda event: addresses(located(event))
    if field.kind is FieldKind.BYTES:
        return located
    if field.kind is FieldKind.STRING:
        return lambda event: decode_text(located(event))
    return lambda event: tuple(decode_text(part) for part in split_vector(located(event)))


def _array_getter(
    field: Field, value: Callable[[Any], Any], address: type[KernelAddress]
) -> Callable[[Any], Any]:
    elements = struct.Struct(f"<{field.count}{_number_code(field, field.size // field.count)}")
    if field.style is Style.SYMBOL:
        return lambda event: tuple(map(address, elements.unpack(value(event))))
    if field.bit_size:
        low, mask = field.bit_offset, (1 << field.bit_size) - 1
        return lambda event: tuple(n >> low & mask for n in elements.unpack(value(event)))
    return lambda event: elements.unpack(value(event))


def _texts_getter(
    field: Field, head_size: int, value: Callable[[Any], Any], tail_of: Callable[[Any], Any]
) -> Callable[[Any], tuple[str | None, ...] | None]:
    places = struct.Struct(f"<{field.count}I")

    def text(tail: bytes, place: int) -> str | None:
        return decode_text(_in_tail(field, head_size, place, tail)) if place else None

    def texts(event: Any) -> tuple[str | None, ...] | None:
        found = tuple(text(tail_of(event), place) for place in places.unpack(value(event)))
        return None if all(part is None for part in found) else found

    return texts


def _name_of(field: Field, number: int) -> str:
    if number >= len(field.names):
        raise DecodeError(f"{field.name} is name {number} of {len(field.names)}")
    return field.names[number]


def _located(
    field: Field, head_size: int, value: Callable[[Any], Any], tail_place: int
) -> Callable[[Any], bytes]:
    """The bytes in the tail that a field of the head points to."""
    tail_of = itemgetter(tail_place)

    def located(event: Any) -> bytes:
        return _in_tail(field, head_size, value(event), tail_of(event))

    return located


def _in_tail(field: Field, head_size: int, location: int, tail: bytes) -> bytes:
    """The bytes at a location (length << 16 | offset in the record). Raises `DecodeError`."""
    start, size = (location & 0xFFFF) - head_size, location >> 16
    text = tail[start : start + size]
    if len(text) != size or (start < 0 and location):
        raise DecodeError(
            f"{field.name} reaches beyond its record of {head_size + len(tail)} bytes"
        )
    return text


def _guarded(field: Field, getter: Callable[[Any], Any], marks: list[int]) -> Callable[[Any], Any]:
    """None where the fault bit is set."""
    if field.mark < 0:
        return getter
    word, bit = divmod(field.mark, MARKS_PER_WORD)
    mask, marks_of = 1 << bit, itemgetter(marks[word])

    def guarded(event: Any) -> Any:
        return None if marks_of(event) & mask else getter(event)

    return guarded


def _marked(layout: Layout, marks: list[int], shift: int) -> Callable[[Any], frozenset[str]]:
    """The names of the fields whose bit is set, among the fault or the truncation bits."""
    bits = [
        (field.name, marks[field.mark // MARKS_PER_WORD], field.mark % MARKS_PER_WORD + shift)
        for field in layout.fields
        if field.mark >= 0
    ]
    return lambda event: frozenset(
        name for name, place, bit in bits if tuple.__getitem__(event, place) >> bit & 1
    )


def _raw_method(
    layout: Layout, places: dict[str, int], marks: list[int], tail_place: int
) -> Callable[[Any, str], bytes | None]:
    readers: dict[str, Callable[[Any], bytes | None]] = {}
    for field in layout.fields:
        if field.name == "probe":
            continue
        if field.kind is FieldKind.CONSTANT:
            text = field.constant.encode("utf-8", "surrogateescape")
            readers[field.name] = lambda _event, text=text: text  # type: ignore[misc]  # a bound default
            continue
        value = itemgetter(places[field.name])
        if field.kind in (FieldKind.ARRAY, FieldKind.TEXTS):
            reader: Callable[[Any], Any] = value
        elif field.in_tail:
            reader = _located(field, layout.head_size, value, tail_place)
        elif field.kind is FieldKind.COMM:
            reader = _comm_bytes(value)
        elif field.kind is FieldKind.NAME:
            reader = _name_bytes(field, value)
        else:
            reader = _number_bytes(field, value)
        readers[field.name] = _guarded(field, reader, marks)

    def raw(self: Any, name: str) -> bytes | None:
        return readers[name](self)

    return raw


def _name_bytes(field: Field, value: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda event: _name_of(field, value(event)).encode("utf-8", "surrogateescape")


def _comm_bytes(value: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda event: value(event).partition(b"\0")[0]


def _number_bytes(field: Field, value: Callable[[Any], Any]) -> Callable[[Any], Any]:
    number = struct.Struct("<" + _code(field))
    return lambda event: number.pack(value(event))


def decode_text(text: bytes) -> str:
    """Bytes from the kernel as str; what is no UTF-8 becomes surrogates and can be turned back."""
    return text.decode("utf-8", "surrogateescape")


def addresses(stack: bytes) -> tuple[int, ...]:
    """The addresses of a stack. Raises `DecodeError`."""
    if len(stack) % 8:
        raise DecodeError(f"a stack of {len(stack)} bytes, which are not addresses")
    return struct.unpack(f"<{len(stack) // 8}Q", stack)


def split_vector(text: bytes) -> list[bytes]:
    """The strings of an argument vector; the last NUL ends a string and begins none."""
    return text.removesuffix(b"\0").split(b"\0") if text else []
