"""What entries of DWARF look like (.debug_abbrev), and values in each form (DWARF 5, 7.5)."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from bpfprobe.model.regex import regex

if TYPE_CHECKING:
    from collections.abc import Mapping

# An abbreviation: its code, a tag, whether children follow, then pairs of attribute and form, that
# of an implicit constant with its value; the pair 0, 0 ends it.
_DECLARATION = regex(
    rb"(?s)([\x80-\xff]*[\0-\x7f])[\x80-\xff]*[\0-\x7f]."
    rb"(?:(?!\0\0)[\x80-\xff]*[\0-\x7f](?:\x21[\x80-\xff]*[\0-\x7f]|[\x80-\xff]*[\0-\x20\x22-\x7f]))*"
    rb"\0\0"
)
_IMPLICIT_CONST = 0x21
_FIXED = {
    "data1": 1, "data2": 2, "data4": 4, "data8": 8, "data16": 16, "flag": 1, "ref1": 1, "ref2": 2,
    "ref4": 4, "ref8": 8, "ref_sig8": 8, "ref_sup4": 4, "ref_sup8": 8, "strx1": 1, "strx2": 2,
    "strx3": 3, "strx4": 4, "addrx1": 1, "addrx2": 2, "addrx3": 3, "addrx4": 4,
    "flag_present": 0, "implicit_const": 0,
}  # fmt: skip
_OFFSETS = ("strp", "line_strp", "sec_offset", "strp_sup", "GNU_ref_alt", "GNU_strp_alt")
_BLOCKS = {"DW_FORM_block1": 1, "DW_FORM_block2": 2, "DW_FORM_block4": 4}
_NUMBERS = ("udata", "ref_udata", "strx", "addrx", "loclistx", "rnglistx")
_UNSIGNED = tuple(f"DW_FORM_{name}" for name in _NUMBERS)
_DEEPEST = 4


class Cursor:
    """A place in the bytes of a section. Raises ValueError where it goes beyond ``end``."""

    __slots__ = ("_data", "_end", "_order", "at")

    def __init__(self, data: bytes, at: int, end: int, order: Any) -> None:
        self._data, self.at, self._end, self._order = data, at, end, order

    def take(self, count: int) -> bytes:
        """The next bytes."""
        at = self.at
        self.at = at + count
        if not 0 <= at <= self.at <= self._end:
            raise ValueError("an entry is cut off")
        return self._data[at : self.at]

    def number(self, count: int) -> int:
        """An unsigned number of ``count`` bytes."""
        return int.from_bytes(self.take(count), self._order)

    def uleb128(self) -> int:
        """An unsigned number of any length."""
        return self._leb128()[0]

    def sleb128(self) -> int:
        """A signed number of any length."""
        value, bits = self._leb128()
        return value - (1 << bits) if value >> (bits - 1) else value

    def _leb128(self) -> tuple[int, int]:
        data, at, value = self._data, self.at, 0
        for bits in range(0, 140, 7):
            if not 0 <= at < self._end:
                break
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << bits
            if byte < 0x80:
                self.at = at
                return value, bits + 7
        raise ValueError("a number has no end")

    def text(self) -> bytes:
        """A string up to its NUL, which is passed over."""
        end = self._data.find(b"\0", self.at, self._end)
        if end < 0:
            raise ValueError("a name has no end")
        text = self._data[self.at : end]
        self.at = end + 1
        return text


def read_form(cursor: Cursor, form: str, constant: int | None, depth: int = 0) -> tuple[str, Any]:
    """The form and the value of one whose size is not fixed."""
    if form in ("DW_FORM_flag_present", "DW_FORM_implicit_const"):
        return form, True if constant is None else constant
    if form == "DW_FORM_string":
        return form, cursor.text()
    if form == "DW_FORM_sdata":
        return form, cursor.sleb128()
    if form in _UNSIGNED:
        return form, cursor.uleb128()
    if form in ("DW_FORM_exprloc", "DW_FORM_block"):
        return form, list(cursor.take(cursor.uleb128()))
    if form in _BLOCKS:
        return form, list(cursor.take(cursor.number(_BLOCKS[form])))
    if form == "DW_FORM_indirect" and depth < _DEEPEST:
        real = _names("FORM").get(cursor.uleb128(), "")
        size = _FIXED.get(real.removeprefix("DW_FORM_"), 0)
        return (real, cursor.number(size)) if size else read_form(cursor, real, None, depth + 1)
    raise ValueError(f"a value has the form {form}")


class Shape:
    """What an abbreviation says of the entries that have it.

    ``attributes`` are (name, form, size), -1 for a size that the entry says; ``constants`` those
    values that the abbreviation has itself. ``sibling`` is where an entry says which one follows
    those below it, and in how many bytes, None where that is not the same for all.
    """

    __slots__ = ("_size", "attributes", "constants", "has_children", "names", "sibling", "tag")

    def __init__(
        self,
        tag: str,
        has_children: bool,
        attributes: tuple[tuple[str, str, int], ...],
        constants: Mapping[str, int],
    ) -> None:
        self.tag, self.has_children = tag, has_children
        self.attributes, self.constants = attributes, constants
        self.names = frozenset(name for name, _, _ in attributes)
        sizes = [size for _, _, size in attributes]
        self._size = -1 if -1 in sizes else sum(sizes)
        self.sibling = _sibling(attributes)

    def end(self, data: bytes, at: int, limit: int, order: Any) -> int:
        """Where an entry ends whose values begin at ``at``."""
        if self._size >= 0:
            return at + self._size
        cursor = Cursor(data, at, limit, order)
        for _, form, size in self.attributes:
            if size >= 0:
                cursor.at += size
            else:
                read_form(cursor, form, None)
        return cursor.at


def _sibling(attributes: tuple[tuple[str, str, int], ...]) -> tuple[int, int] | None:
    place = 0
    for name, form, size in attributes:
        if name == "DW_AT_sibling":
            return (place, size) if form in ("DW_FORM_ref4", "DW_FORM_ref8") else None
        if size < 0:
            return None
        place += size
    return None


class Shapes:
    """The tables of .debug_abbrev. A thousand units have the same few hundred shapes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._known: dict[tuple[bytes, tuple[int, int, int]], Shape] = {}
        self._tables: dict[tuple[int, tuple[int, int, int]], dict[int, Shape]] = {}

    def table(self, offset: int, sizes: tuple[int, int, int]) -> Mapping[int, Shape]:
        """The shapes of a unit whose ``sizes`` are of an address, of an offset, and its version."""
        key = (offset, sizes)
        if key not in self._tables:
            self._tables[key] = dict(self._read(offset, sizes))
        return self._tables[key]

    def _read(self, at: int, sizes: tuple[int, int, int]) -> Any:
        data, known = self._data, self._known
        if at >= len(data):
            raise ValueError("the shapes of its entries are not there")
        while data[at : at + 1] not in (b"\0", b""):
            found = _DECLARATION.match(data, at)
            if found is None:
                raise ValueError("the shapes of its entries are damaged")
            code, rest = found[1], found[0][len(found[1]) :]
            shape = known.get((rest, sizes))
            if shape is None:
                shape = known[rest, sizes] = _shape(rest, sizes)
            yield code[0] if len(code) == 1 else _whole(code), shape
            at = found.end()


def _whole(code: bytes) -> int:
    return Cursor(code, 0, len(code), "little").uleb128()


def _shape(data: bytes, sizes: tuple[int, int, int]) -> Shape:
    cursor = Cursor(data, 0, len(data), "little")
    number = cursor.uleb128()
    tag = _names("TAG").get(number, f"DW_TAG_{number:#x}")
    has_children = cursor.take(1) != b"\0"
    attributes, constants = [], {}
    while (attribute := cursor.uleb128()) | (form := cursor.uleb128()):
        name = _names("AT").get(attribute, f"DW_AT_{attribute:#x}")
        if form == _IMPLICIT_CONST:
            constants[name] = cursor.sleb128()
        spelled = _names("FORM").get(form, f"DW_FORM_{form:#x}")
        attributes.append((name, spelled, _size(spelled, sizes)))
    return Shape(tag, has_children, tuple(attributes), constants)


def _size(form: str, sizes: tuple[int, int, int]) -> int:
    """The bytes of a value, -1 where the entry says how many."""
    name, (address, offset, version) = form.removeprefix("DW_FORM_"), sizes
    if name == "addr" or (name == "ref_addr" and version == 2):
        return address
    return offset if name in (*_OFFSETS, "ref_addr") else _FIXED.get(name, -1)


@cache
def _names(kind: str) -> Mapping[int, str]:
    """The names that pyelftools has for numbers of tags, attributes and forms."""
    from elftools.dwarf import enums

    table = getattr(enums, f"ENUM_DW_{kind}")
    return {number: name for name, number in table.items() if isinstance(number, int)}
