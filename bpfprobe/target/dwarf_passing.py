"""Which classes a function of a program is handed by their address, from its DWARF.

What C++ cannot copy byte by byte
(https://itanium-cxx-abi.github.io/cxx-abi/abi.html#non-trivial-parameters). Where others go is for
`bpfprobe.resolve.convention` to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.target.dwarf_definitions import STRUCTS
from bpfprobe.target.dwarf_entries import number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfprobe.target.dwarf_entries import Entries
    from bpfprobe.target.dwarf_units import Die

_MOST_ENTRIES = 65536
"""Of what a struct is made of. A damaged file has circles."""

# DW_CC_* of DWARF 5, 7.15, which Clang gives; DW_DEFAULTED_*, 7.17.
_PASS_BY_REFERENCE, _PASS_BY_VALUE, _DEFAULTED_IN_CLASS = 4, 5, 1
_NAMES = (
    "DW_TAG_typedef", "DW_TAG_const_type", "DW_TAG_volatile_type", "DW_TAG_atomic_type",
    "DW_TAG_restrict_type",
)  # fmt: skip
_REFERENCES = ("DW_TAG_reference_type", "DW_TAG_rvalue_reference_type")


def is_by_reference(struct: Die, entries: Entries) -> bool:
    """Return whether functions are handed the address of one; ``struct`` is where it is defined."""
    stated = number(struct, "DW_AT_calling_convention")
    if stated in (_PASS_BY_REFERENCE, _PASS_BY_VALUE):
        return stated == _PASS_BY_REFERENCE
    return _Class(entries).has_own_copy(struct)


class _Class:
    """A class and all that it is made of, of which only so much is looked at."""

    def __init__(self, entries: Entries) -> None:
        self._entries = entries
        self._left = _MOST_ENTRIES

    def has_own_copy(self, struct: Die) -> bool:
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
                if part is not None and self.has_own_copy(part):
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

    def _children(self, die: Die) -> Iterator[Die]:
        for child in die.children():
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
