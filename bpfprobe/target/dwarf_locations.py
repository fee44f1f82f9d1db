"""Where variables are: .debug_loc (DWARF 4, 2.6.2) and .debug_loclists (DWARF 5, 7.7.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.target.dwarf_forms import Cursor

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bpfprobe.target.dwarf_units import Attribute, Unit

Place = tuple[int, int, "Sequence[int]"]
"""From which address on, up to which, and DWARF's operations."""

FIRST_REGISTER, LAST_REGISTER = 0x50, 0x6F  # DW_OP_reg0, DW_OP_reg31: DWARF 5, 7.7.1
_PIECE = 0x93  # DW_OP_piece
_DATA = ("DW_FORM_data1", "DW_FORM_data2", "DW_FORM_data4", "DW_FORM_data8")
(
    _END,
    _BASE_X,
    _START_X_END_X,
    _START_X_LENGTH,
    _PAIR,
    _DEFAULT,
    _BASE,
    _START_END,
    _START_LENGTH,
) = range(9)


def locations(unit: Unit, location: Attribute) -> Iterator[Place]:
    """Each place that an attribute names; one without a list is there at all addresses.

    Raises ValueError where the list is damaged.
    """
    if isinstance(location.value, list):
        yield 0, 1 << 64, location.value
    elif location.form in ("DW_FORM_sec_offset", "DW_FORM_loclistx"):
        yield from (_list_5 if unit["version"] >= 5 else _list_4)(unit, location.value)
    elif location.form in _DATA and unit["version"] < 4:
        yield from _list_4(unit, location.value)


def _base(unit: Unit) -> int:
    found = unit.top.attributes.get("DW_AT_low_pc")
    return found.value if found is not None else 0


def _cursor(unit: Unit, section: str, offset: int) -> Cursor:
    data = unit.dwarf.section(section)
    return Cursor(data, offset, len(data), unit.dwarf.order)


def _list_4(unit: Unit, offset: int) -> Iterator[Place]:
    cursor, base, size = _cursor(unit, "debug_loc_sec", offset), _base(unit), unit.address_size
    while True:
        start, end = cursor.number(size), cursor.number(size)
        if start == end == 0:
            break
        if start == (1 << 8 * size) - 1:
            base = end
            continue
        yield base + start, base + end, list(cursor.take(cursor.number(2)))
        unit.dwarf.reads.take(2 * size)


def _list_5(unit: Unit, offset: int) -> Iterator[Place]:
    cursor, base = _cursor(unit, "debug_loclists_sec", offset), _base(unit)
    size = unit.address_size
    while (kind := cursor.number(1)) != _END:
        unit.dwarf.reads.take(1)
        if kind == _BASE:
            base = cursor.number(size)
            continue
        if kind == _BASE_X:
            base = unit.address(cursor.uleb128())
            continue
        start, end = _extent(unit, cursor, kind, base)
        yield start, end, list(cursor.take(cursor.uleb128()))


def _extent(unit: Unit, cursor: Cursor, kind: int, base: int) -> tuple[int, int]:
    """The addresses of an entry of a list."""
    size = unit.address_size
    if kind == _PAIR:
        return base + cursor.uleb128(), base + cursor.uleb128()
    if kind == _DEFAULT:
        return 0, 1 << 64
    if kind == _START_X_END_X:
        return unit.address(cursor.uleb128()), unit.address(cursor.uleb128())
    if kind not in (_START_X_LENGTH, _START_END, _START_LENGTH):
        raise ValueError(f"a list of places has an entry of kind {kind}")
    start = unit.address(cursor.uleb128()) if kind == _START_X_LENGTH else cursor.number(size)
    return start, cursor.number(size) if kind == _START_END else start + cursor.uleb128()


def pieces_of(place: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Return the registers that have a value, with the bytes in each; 0 bytes for all of it.

    -1 stands for bytes that are nowhere. Empty for what is not in registers alone. Raises
    ValueError for a number that is cut off.
    """
    found: list[tuple[int, int]] = []
    register, cursor = -1, Cursor(bytes(place), 0, len(place), "little")
    while cursor.at < len(place):
        operation = cursor.number(1)
        if FIRST_REGISTER <= operation <= LAST_REGISTER and register < 0:
            register = operation - FIRST_REGISTER
        elif operation == _PIECE:
            found.append((register, cursor.uleb128()))
            register = -1
        else:
            return ()
    if register >= 0:
        return () if found else ((register, 0),)
    return tuple(found) if any(one >= 0 for one, _ in found) else ()
