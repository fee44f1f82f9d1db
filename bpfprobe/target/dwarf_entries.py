"""Entries of DWARF wherever they stand: in a unit, in a type unit, in a file that dwz(1) made."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from bpfprobe.errors import TargetError

if TYPE_CHECKING:
    from bpfprobe.target.dwarf_alternate import Alternate
    from bpfprobe.target.dwarf_definitions import Definitions
    from bpfprobe.target.dwarf_units import Die, Dwarf, Unit

_DEEPEST = 40
"""References from one entry to the next; a damaged file has circles."""

_ALTERNATE = ("DW_FORM_GNU_ref_alt", "DW_FORM_ref_sup4", "DW_FORM_ref_sup8")
_TYPE_UNIT = "DW_UT_type"
_PLUS_UCONST = 0x23  # DW_OP_plus_uconst

# Above the place of an entry in its section stands which section that is.
_SECTION_SHIFT = 36
_PLACE = (1 << _SECTION_SHIFT) - 1
_INFO, _TYPES, _OTHER_FILE = 0, 1, 2


class Entries:
    """The entries of a file. ``mark`` goes above the ids of its structs.

    ``alternate`` is the file that dwz(1) moved types and names to, None where there is none. What
    leads there raises `TargetError` (NO_DWZ_FILE) where it cannot be read.
    """

    def __init__(self, dwarf: Dwarf, mark: int, alternate: Alternate | None = None) -> None:
        self._dwarf = dwarf
        self._mark = mark
        self._alternate = alternate

    def id_of(self, die: Die) -> int:
        """A number for an entry, which `entry` finds it by."""
        section = _INFO
        if self._alternate is not None and die.cu.dwarf is self._alternate.dwarf:
            section = _OTHER_FILE
        elif die.cu.is_type_unit:
            section = _TYPES
        return self._mark | section << _SECTION_SHIFT | int(die.offset)

    def entry(self, number: int) -> Die:
        """The entry that `id_of` gave a number."""
        section, place = (number & ~self._mark) >> _SECTION_SHIFT, number & _PLACE
        if section == _OTHER_FILE:
            return self._moved.entry(place)
        if section != _TYPES:
            return self._dwarf.entry(place)
        for unit in self._dwarf.type_units:
            if unit.cu_offset <= place < unit.end:
                return unit.entry(place)
        raise LookupError("a type is in no unit")

    def referred(self, die: Die, name: str) -> Die | None:
        """The entry that an attribute leads to; None where that is out of reach.

        What only stands for a type in a unit of its own is passed over.
        """
        found = self._referred(die, name)
        if found is not None and "DW_AT_signature" in found.attributes:
            return self._referred(found, "DW_AT_signature") or found
        return found

    def _referred(self, die: Die, name: str) -> Die | None:
        attribute = die.attributes[name]
        if attribute.form in _ALTERNATE:
            return self._moved.entry(attribute.raw_value)
        if attribute.form == "DW_FORM_ref_sig8":
            return self._by_signature(attribute.raw_value)
        return die.target(name)

    @property
    def _moved(self) -> Dwarf:
        """The DWARF of the other file."""
        if self._alternate is None:
            raise ValueError("it refers to another file, and names none")
        if self._alternate.dwarf is None:
            raise TargetError(
                f"a part of the debug information is in {self._alternate.name}, which is not "
                "there, or of another build",
                code="NO_DWZ_FILE",
                hint="it comes with the same package, below /usr/lib/debug/.dwz",
            )
        return self._alternate.dwarf

    def _by_signature(self, signature: int) -> Die | None:
        unit = self._type_units.get(signature)
        return unit.entry(unit.cu_offset + unit["type_offset"]) if unit is not None else None

    @cached_property
    def _type_units(self) -> dict[int, Unit]:
        """Type units by their signatures: DWARF 5 has them between the others."""
        own = {unit["signature"]: unit for unit in self._dwarf.type_units}
        return own | {
            unit["type_signature"]: unit
            for unit in self._dwarf.units
            if unit.header.get("unit_type") == _TYPE_UNIT and "type_signature" in unit.header
        }

    def definition(self, struct: Die) -> Die:
        """Where a struct is defined, which may only be declared here.

        Raises `TargetError` (INCOMPLETE_TYPE) where that is not known.
        """
        return self._definitions.of(struct) if is_declaration(struct) else struct

    @cached_property
    def _definitions(self) -> Definitions:
        from bpfprobe.target.dwarf_definitions import Definitions  # which takes entries itself

        moved = self._alternate.dwarf if self._alternate is not None else None
        return Definitions([one for one in (self._dwarf, moved) if one is not None], self)

    def holder(self, die: Die, name: str) -> Die | None:
        """The entry that has the attribute: this one, or one that it stands for."""
        for _ in range(_DEEPEST):
            if name in die.attributes:
                return die
            origin = self.origin(die)
            if origin is None:
                return None
            die = origin
        return None

    def origin(self, die: Die) -> Die | None:
        """The entry that this one is an instance or the definition of."""
        for name in ("DW_AT_abstract_origin", "DW_AT_specification"):
            if name in die.attributes:
                return self.referred(die, name)
        return None

    def name_of(self, die: Die) -> str:
        """The name of an entry, or of the one that it stands for; empty for none."""
        holder = self.holder(die, "DW_AT_name")
        if holder is None:
            return ""
        value = holder.attributes["DW_AT_name"].value
        if isinstance(value, int):  # a place in the strings of the other file
            value = self._moved.text("debug_str_sec", value)
        text: str = value.decode(errors="surrogateescape")
        return text


def is_declaration(struct: Die) -> bool:
    """Whether an entry has no more than the name."""
    return "DW_AT_declaration" in struct.attributes


def member_offset(member: Die) -> int | None:
    """Bytes from the start of the struct; None where only a program for a stack machine says."""
    found = member.attributes.get("DW_AT_data_member_location")
    if found is None:
        return 0
    value: int | list[int] = found.value
    if isinstance(value, int):
        return value
    operation, *operand = value or [0]
    if operation != _PLUS_UCONST:
        return None
    # What DWARF 2 has for every member: a number of seven bits a byte, the lowest first.
    return sum((byte & 0x7F) << 7 * n for n, byte in enumerate(operand))


def number(die: Die, name: str, default: int = 0) -> int:
    """A constant among the attributes of an entry."""
    found = die.attributes.get(name)
    return found.value if found is not None and isinstance(found.value, int) else default
