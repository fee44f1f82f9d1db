"""Units of DWARF and their entries, each read when it is looked at and not kept.

pyelftools reads the headers of units, lists of ranges and programs of lines; its entries take some
40 us each and stay in memory, and a listing of the C library looks at 300,000. These have the same
attributes under the same names.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from bpfprobe.target.dwarf_forms import Cursor, Shapes, read_form

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping

    from bpfprobe.target.dwarf_forms import Shape
    from bpfprobe.target.dwarf_sections import Reads

_STRINGS = {"DW_FORM_strp": "debug_str_sec", "DW_FORM_line_strp": "debug_line_str_sec"}
_ALTERNATE_STRINGS = ("DW_FORM_GNU_strp_alt", "DW_FORM_strp_sup")
_IN_UNIT = ("DW_FORM_ref1", "DW_FORM_ref2", "DW_FORM_ref4", "DW_FORM_ref8", "DW_FORM_ref_udata")


class Attribute(NamedTuple):
    """A value of an entry: ``raw_value`` as it stands there, ``value`` what that leads to."""

    form: str
    value: Any
    raw_value: Any


class Dwarf:
    """The DWARF of a file. ``info`` is pyelftools' of it, ``sections`` its bytes by their names.

    What is read is taken from ``reads``. Methods raise ValueError and LookupError for what
    contradicts itself.
    """

    def __init__(self, info: Any, sections: Mapping[str, bytes], reads: Reads) -> None:
        self.info = info
        self.reads = reads
        self._sections = sections
        self.order: Literal["little", "big"] = "little" if info.config.little_endian else "big"
        self.shapes = Shapes(sections.get("debug_abbrev_sec", b""))

    @cached_property
    def units(self) -> tuple[Unit, ...]:
        """The units of .debug_info, by offset."""
        return tuple(Unit(self, unit, "debug_info_sec") for unit in self.info.iter_CUs())

    @cached_property
    def type_units(self) -> tuple[Unit, ...]:
        """The units of .debug_types, which pyelftools reads since 0.32."""
        found: tuple[Any, ...] = tuple(getattr(self.info, "iter_TUs", tuple)())
        return tuple(Unit(self, unit, "debug_types_sec") for unit in found)

    @cached_property
    def _units_by_offset(self) -> dict[int, Unit]:
        return {unit.cu_offset: unit for unit in self.units}

    def unit_at(self, offset: int) -> Unit:
        """The unit that begins at an offset of .debug_info."""
        return self._units_by_offset[offset]

    def entry(self, offset: int) -> Die:
        """The entry at an offset of .debug_info."""
        from bisect import bisect_right

        at = bisect_right(self.units, offset, key=lambda unit: unit.cu_offset)
        if not at:
            raise LookupError("an entry is in no unit")
        return self.units[at - 1].entry(offset)

    def section(self, name: str) -> bytes:
        """The bytes of a section, none where the file does not have it."""
        return self._sections.get(name, b"")

    def text(self, section: str, offset: int) -> bytes:
        """The string at an offset of a section of strings."""
        data = self.section(section)
        end = data.find(b"\0", offset)
        if not 0 <= offset < len(data) or end < 0:
            raise ValueError("a name is not in the section of names")
        return data[offset:end]


class Unit:
    """A unit, which pyelftools' lists of ranges and line programs take for one of their own."""

    def __init__(self, dwarf: Dwarf, unit: Any, section: str) -> None:
        self.dwarf, self.dwarfinfo = dwarf, dwarf.info
        self.header, self.structs = unit.header, unit.structs
        self.is_type_unit = section == "debug_types_sec"
        self.cu_offset: int = unit.tu_offset if self.is_type_unit else unit.cu_offset
        self._first: int = unit.tu_die_offset if self.is_type_unit else unit.cu_die_offset
        self.data = dwarf.section(section)
        size = unit["unit_length"] + unit.structs.initial_length_field_size()
        self.end: int = min(self.cu_offset + size, len(self.data))
        self.offset_size: int = unit.structs.dwarf_format // 8
        self.address_size: int = unit["address_size"]
        self._take, self._order = dwarf.reads.take, dwarf.order

    def __getitem__(self, name: str) -> Any:
        """A field of its header."""
        return self.header[name]

    @cached_property
    def shapes(self) -> Mapping[int, Shape]:
        """What its entries look like, by the codes that they begin with."""
        version = self.header["version"]
        sizes = (self.address_size, self.offset_size, version)
        return self.dwarf.shapes.table(self.header["debug_abbrev_offset"], sizes)

    @cached_property
    def top(self) -> Die:
        """The entry that all others are below."""
        return self.entry(self._first)

    def get_top_DIE(self) -> Die:  # the name that pyelftools calls
        """As `top`."""
        return self.top

    def entry(self, offset: int) -> Die:
        """The entry at an offset of the section."""
        if not self._first <= offset < self.end:
            raise LookupError("an entry is in no unit")
        found = self.at(offset)
        if found is None:
            raise LookupError("an entry is the end of a list of entries")
        return found

    def at(self, offset: int, parent: Die | None = None) -> Die | None:
        """The entry at an offset, None where it ends a list."""
        if not self._first <= offset < self.end:
            raise ValueError("its entries have no end")
        self._take(1)
        code, at = self.data[offset], offset + 1
        if code >= 0x80:
            cursor = Cursor(self.data, offset, self.end, self._order)
            code, at = cursor.uleb128(), cursor.at
        return Die(self, offset, self.shapes[code], at, parent) if code else None

    def below(self, parent: Die, tags: Container[str]) -> Iterator[Die]:
        """The entries below one that have one of the tags; the others are passed over quickly."""
        data, end, shapes, order = self.data, self.end, self.shapes, self._order
        at = begin = parent.end
        while at < end and (code := data[at]):
            shape = shapes[code] if code < 0x80 else None
            if shape is None or shape.tag in tags or (shape.has_children and not shape.sibling):
                die = self.at(at, parent)  # of a code of several bytes too
                if die is None:
                    return
                if die.tag in tags:
                    yield die
                at = die.next
            elif shape.sibling:
                place, size = shape.sibling
                place += at + 1
                after = self.cu_offset + int.from_bytes(data[place : place + size], order)
                if after <= at:
                    raise ValueError("its entries run in a circle")
                at = after
            else:
                at = shape.end(data, at + 1, end, order)
        if at >= end:
            raise ValueError("its entries have no end")
        self._take(at - begin)

    def after(self, offset: int) -> int:
        """Where the list of entries ends that begins at an offset."""
        data, end, shapes, order = self.data, self.end, self.shapes, self._order
        depth, at = 1, offset
        while depth:
            if at >= end:
                raise ValueError("its entries have no end")
            code = data[at]
            at += 1
            if code >= 0x80:
                cursor = Cursor(data, at - 1, end, order)
                code, at = cursor.uleb128(), cursor.at
            if not code:
                depth -= 1
                continue
            shape = shapes[code]
            at = shape.end(data, at, end, order)
            depth += shape.has_children
        self._take(at - offset)
        return at

    def all_with(self, tag: str) -> Iterator[Die]:
        """Each entry with a tag, wherever in the unit it is."""
        data, end, order = self.data, self.end, self._order
        at = self._first
        while at < end:
            cursor = Cursor(data, at, end, order)
            code = cursor.uleb128()
            self._take(cursor.at - at)
            if not code:
                at = cursor.at
                continue
            shape = self.shapes[code]
            if shape.tag == tag:
                yield Die(self, at, shape, cursor.at, None)
            at = shape.end(data, cursor.at, end, order)

    def value(self, form: str, raw: Any) -> Any:
        """What a raw value leads to."""
        if form in _STRINGS:
            return self.dwarf.text(_STRINGS[form], raw)
        if form == "DW_FORM_flag":
            return raw != 0
        if form.startswith("DW_FORM_strx"):
            return self.dwarf.text("debug_str_sec", self._indexed("str_offsets", raw))
        if form.startswith("DW_FORM_addrx"):
            return self.address(raw)
        if form in ("DW_FORM_loclistx", "DW_FORM_rnglistx"):
            name = "loclists" if form == "DW_FORM_loclistx" else "rnglists"
            return self._base(name) + self._indexed(name, raw)
        return raw

    def address(self, index: int) -> int:
        """An address by its number in .debug_addr."""
        return self._indexed("addr", index)

    def _indexed(self, name: str, index: int) -> int:
        size = self.address_size if name == "addr" else self.offset_size
        data, at = self.dwarf.section(f"debug_{name}_sec"), self._base(name) + index * size
        return Cursor(data, at, len(data), self.dwarf.order).number(size)

    def _base(self, name: str) -> int:
        base: int = self.top.attributes[f"DW_AT_{name}_base"].raw_value
        return base


class Die:
    """An entry: ``tag`` and its attributes by name, by pyelftools' names for both."""

    __slots__ = ("_at", "_attributes", "_end", "_parent", "_shape", "cu", "offset", "tag")

    def __init__(self, unit: Unit, offset: int, shape: Shape, at: int, parent: Die | None) -> None:
        self.cu = unit
        self.offset = offset
        self.tag = shape.tag
        self._shape, self._at, self._parent = shape, at, parent
        self._attributes: dict[str, Attribute] | None = None
        self._end = -1

    @property
    def has_children(self) -> bool:
        """Whether a list of entries follows."""
        return self._shape.has_children

    @property
    def names(self) -> frozenset[str]:
        """The names of the attributes, which need not be read for it."""
        return self._shape.names

    @property
    def attributes(self) -> dict[str, Attribute]:
        """The values by their names."""
        if self._attributes is None:
            self._attributes = self._read()
        return self._attributes

    def _read(self) -> dict[str, Attribute]:
        unit, found, later = self.cu, {}, []
        data, at, end, order = unit.data, self._at, unit.end, unit.dwarf.order
        for name, form, size in self._shape.attributes:
            if size > 0:
                raw: Any = int.from_bytes(data[at : at + size], order)
                at += size
            else:
                cursor = Cursor(data, at, end, order)
                form, raw = read_form(cursor, form, self._shape.constants.get(name))
                at = cursor.at
            if form in _PLAIN:
                found[name] = Attribute(form, raw, raw)
            else:
                found[name] = Attribute(form, None, raw)
                later.append(name)
        if at > end:
            raise ValueError("an entry is cut off")
        unit.dwarf.reads.take(at - self._at)
        self._end = at
        self._attributes = found  # of a unit's first entry, values lead by bases that follow them
        for name in later:
            form, _, raw = found[name]
            found[name] = Attribute(form, unit.value(form, raw), raw)
        return found

    @property
    def next(self) -> int:
        """The offset after the entry and all that is below it."""
        end = self.end
        if not self._shape.has_children:
            return end
        if "DW_AT_sibling" in self._shape.names:
            form, _, raw = self.attributes["DW_AT_sibling"]
            place: int = raw + self.cu.cu_offset if form in _IN_UNIT else raw
            if place < end:
                raise ValueError("its entries run in a circle")
            return place
        return self.cu.after(end)

    @property
    def end(self) -> int:
        """The offset after the entry, where those below it begin."""
        if self._end < 0:
            self._end = self._shape.end(self.cu.data, self._at, self.cu.end, self.cu.dwarf.order)
        return self._end

    def children(self) -> Iterator[Die]:
        """The entries below. Raises ValueError where they do not follow one another."""
        if not self._shape.has_children:
            return
        at = self.end
        while (child := self.cu.at(at, self)) is not None:
            yield child
            at = child.next

    def target(self, name: str) -> Die:
        """The entry of the same file that an attribute refers to. Raises ValueError for others."""
        form, _, raw = self.attributes[name]
        if form in _IN_UNIT:
            return self.cu.entry(raw + self.cu.cu_offset)
        if form == "DW_FORM_ref_addr":
            return self.cu.dwarf.entry(raw)
        raise ValueError(f"{name} refers to nothing")

    def parent(self) -> Die | None:
        """The entry that this one is below, None for the first of a unit."""
        if self._parent is None:
            self._parent = self._found_parent()
        return self._parent

    def _found_parent(self) -> Die | None:
        holder = self.cu.top
        if holder.offset == self.offset:
            return None
        while True:
            for child in holder.children():
                if child.offset == self.offset:
                    return holder
                if child.offset < self.offset < child.next:
                    holder = child
                    break
            else:
                raise ValueError("an entry is not among those of its unit")


_PLAIN = frozenset((
    "DW_FORM_addr", "DW_FORM_block", "DW_FORM_block1", "DW_FORM_block2", "DW_FORM_block4",
    "DW_FORM_data1", "DW_FORM_data2", "DW_FORM_data4", "DW_FORM_data8", "DW_FORM_data16",
    "DW_FORM_exprloc", "DW_FORM_flag_present", "DW_FORM_implicit_const", "DW_FORM_ref_addr",
    "DW_FORM_sdata", "DW_FORM_sec_offset", "DW_FORM_string", "DW_FORM_udata", *_IN_UNIT,
))  # fmt: skip
"""Forms whose raw value is the value."""
