"""How a struct is handed to a function of a program, or returned, from its DWARF.

System V ABI for AMD64, 3.2.3: eight bytes at a time. What C++ cannot copy byte by byte goes by its
address (https://itanium-cxx-abi.github.io/cxx-abi/abi.html#non-trivial-parameters).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import TargetError
from bpfprobe.target.dwarf_definitions import STRUCTS
from bpfprobe.target.dwarf_entries import children, member_offset, number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfprobe.target.dwarf_entries import Die, Entries

BY_REFERENCE, IN_MEMORY, NOT_AT_ALL = "R", "M", "E"
_NUMBER, _VECTOR = "I", "F"

_MOST_BYTES = 16
_MOST_ENTRIES = 65536
"""Of what a struct is made of. A damaged file has circles."""

# DW_CC_* of DWARF 5, 7.15, which Clang gives; DW_DEFAULTED_*, 7.17.
_PASS_BY_REFERENCE, _PASS_BY_VALUE, _DEFAULTED_IN_CLASS = 4, 5, 1
_FLOAT = 4  # DW_ATE_float
_NAMES = (
    "DW_TAG_typedef", "DW_TAG_const_type", "DW_TAG_volatile_type", "DW_TAG_atomic_type",
    "DW_TAG_restrict_type",
)  # fmt: skip
_REFERENCES = ("DW_TAG_reference_type", "DW_TAG_rvalue_reference_type")

_Number = tuple[int, int, bool]
"""Where in the object, how many bytes (0 for no guess), whether it is a float."""


def passing_of(struct: Die, entries: Entries) -> str:
    """What `bpfprobe.model.ktype.KStruct` calls ``passing``; ``struct`` is where it is defined."""
    try:
        return _Struct(struct, entries).passing()
    except TargetError as error:
        if error.code != "INCOMPLETE_TYPE":
            raise
        return ""


class _Struct:
    """A struct and all that it is made of, of which only so much is looked at."""

    def __init__(self, struct: Die, entries: Entries) -> None:
        self._struct = struct
        self._entries = entries
        self._left = _MOST_ENTRIES

    def passing(self) -> str:
        """See `passing_of`."""
        if number(self._struct, "DW_AT_alignment") > 8:
            return ""
        stated = number(self._struct, "DW_AT_calling_convention")
        if stated == _PASS_BY_REFERENCE:
            return BY_REFERENCE
        if stated != _PASS_BY_VALUE and self._has_own_copy(self._struct):
            return BY_REFERENCE
        size = number(self._struct, "DW_AT_byte_size")
        is_large = size > _MOST_BYTES
        classes = [""] * (-(-size // 8) if not is_large else 0)
        for offset, width, is_float in self._numbers(self._struct, 0):
            if not width or offset % width or offset + width > size:
                return ""  # packed, or of sixteen bytes, or of no size: no guess
            for eight in range(offset // 8, (offset + width - 1) // 8 + 1) if not is_large else ():
                is_vector = is_float and classes[eight] != _NUMBER
                classes[eight] = _VECTOR if is_vector else _NUMBER
        if is_large:
            return IN_MEMORY
        if not any(classes):
            return NOT_AT_ALL
        return "".join(classes) if all(classes) else ""

    def _has_own_copy(self, struct: Die) -> bool:
        """Whether the class is copied, moved or destroyed by code, its own or that of a part."""
        name = self._entries.name_of(struct).partition("<")[0]
        for child in self._children(struct):
            if child.tag == "DW_TAG_subprogram":
                if "DW_AT_virtuality" in child.attributes or self._is_copy(child, name):
                    return True
            elif child.tag == "DW_TAG_inheritance" and "DW_AT_virtuality" in child.attributes:
                return True
            elif _is_in_object(child):
                part = self._struct_in(child)
                if part is not None and self._has_own_copy(part):
                    return True
        return False

    def _is_copy(self, method: Die, name: str) -> bool:
        """Whether a method that somebody wrote copies, moves or destroys."""
        if "DW_AT_artificial" in method.attributes or "DW_AT_deleted" in method.attributes:
            return False
        if number(method, "DW_AT_defaulted") == _DEFAULTED_IN_CLASS:
            return False
        called = self._entries.name_of(method)
        if called.startswith("~"):
            return True
        if called != name or not name:
            return False
        given = [one for one in self._children(method) if one.tag == "DW_TAG_formal_parameter"]
        own = [one for one in given if "DW_AT_artificial" not in one.attributes]
        ktype = self._plain(own[0]) if len(own) == 1 else None
        if ktype is None or ktype.tag not in _REFERENCES:
            return False
        target = self._plain(ktype)
        return target is not None and self._entries.name_of(target).partition("<")[0] == name

    def _struct_in(self, member: Die) -> Die | None:
        """The struct that a member is, or is an array of."""
        ktype = self._plain(member)
        if ktype is not None and ktype.tag == "DW_TAG_array_type":
            ktype = self._plain(ktype)
        if ktype is None or ktype.tag not in STRUCTS:
            return None
        return self._entries.definition(ktype)

    def _plain(self, die: Die) -> Die | None:
        """The type of an entry without its names and qualifiers."""
        while "DW_AT_type" in die.attributes:
            self._step()
            target = self._entries.referred(die, "DW_AT_type")
            if target is None or target.tag not in _NAMES:
                return target
            die = target
        return None

    def _numbers(self, struct: Die, base: int) -> Iterator[_Number]:
        for child in self._children(struct):
            if not _is_in_object(child):
                continue
            place = member_offset(child)
            if place is None:
                yield base, 0, False
                continue
            offset = base + place
            if "DW_AT_bit_size" in child.attributes:
                first = number(child, "DW_AT_data_bit_offset", 8 * place)
                yield base + first // 8, 1, False
            else:
                yield from self._parts(self._plain(child), offset)

    def _parts(self, ktype: Die | None, offset: int) -> Iterator[_Number]:
        self._step()
        if ktype is None:
            yield offset, 0, False
        elif ktype.tag in STRUCTS:
            yield from self._numbers(self._entries.definition(ktype), offset)
        elif ktype.tag == "DW_TAG_array_type":
            element = self._plain(ktype)
            if element is not None and element.tag in STRUCTS:
                element = self._entries.definition(element)
            size = number(element, "DW_AT_byte_size") if element is not None else 0
            for place in range(min(self._count(ktype), _MOST_BYTES) if size else 1):
                yield from self._parts(element if size else None, offset + place * size)
        elif ktype.tag in (*_REFERENCES, "DW_TAG_pointer_type"):
            yield offset, number(ktype, "DW_AT_byte_size", 8), False
        else:
            size = number(ktype, "DW_AT_byte_size")
            # Numbers of sixteen bytes have rules of their own.
            yield offset, size if size <= 8 else 0, number(ktype, "DW_AT_encoding") == _FLOAT

    def _count(self, array: Die) -> int:
        total = 1
        for bound in self._children(array):
            if bound.tag == "DW_TAG_subrange_type":
                total *= number(bound, "DW_AT_count", number(bound, "DW_AT_upper_bound", -1) + 1)
        return total

    def _children(self, die: Die) -> Iterator[Die]:
        for child in children(die):
            self._step()
            yield child

    def _step(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise ValueError("its types run in a circle, or one has too many parts")


def _is_in_object(member: Die) -> bool:
    return member.tag in ("DW_TAG_member", "DW_TAG_inheritance") and not (
        {"DW_AT_external", "DW_AT_declaration"} & member.attributes.keys()
    )
