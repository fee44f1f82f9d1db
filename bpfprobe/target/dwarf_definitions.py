"""Structs that one unit of a program only declares, by where another defines them.

Clang describes a class in the unit that has its constructors or its first virtual function, and a
template where somebody instantiated it; any compiler knows no more than the name of a struct whose
members a unit never touches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import TargetError
from bpfprobe.target.dwarf_entries import is_declaration, number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bpfprobe.target.dwarf_entries import Entries
    from bpfprobe.target.dwarf_units import Die, Dwarf

STRUCTS = ("DW_TAG_structure_type", "DW_TAG_class_type", "DW_TAG_union_type")
_HOLDERS = ("DW_TAG_namespace", *STRUCTS)
_DEEPEST = 12

MOST_BYTES = 16 << 20
"""Of entries that are looked through: a megabyte takes more than a second."""

_Path = tuple[str, ...]
"""The names of the namespaces and classes around a struct, and its own."""


class Definitions:
    """The structs that a file defines, by name: all of its units are looked through, once.

    Raises `TargetError` (INCOMPLETE_TYPE) where that are too many.
    """

    def __init__(self, dwarfs: Sequence[Dwarf], entries: Entries) -> None:
        size = sum(len(dwarf.section("debug_info_sec")) for dwarf in dwarfs)
        if size > MOST_BYTES:
            raise TargetError(
                "a struct is declared in this unit and defined in another, and the units have "
                f"{size} bytes; they are looked through up to {MOST_BYTES}",
                code="INCOMPLETE_TYPE",
                hint="memory behind an address is written +OFFSET(ADDRESS)",
            )
        self._entries = entries
        self._found: dict[_Path, Die | None] = {}
        for dwarf in dwarfs:
            for unit in (*dwarf.units, *dwarf.type_units):
                self._look_into(unit.top, ())

    def of(self, declared: Die) -> Die:
        """The definition of a struct that is declared.

        Raises `TargetError`: INCOMPLETE_TYPE where there is none, or several differ.
        """
        path = self._path_to(declared)
        name = "::".join(path)
        if path not in self._found:
            raise TargetError(
                f"{name} is declared in the debug information, and defined in none of its units",
                code="INCOMPLETE_TYPE",
                hint="it may be that of a library; Clang has it all with -fstandalone-debug",
            )
        found = self._found[path]
        if found is None:
            raise TargetError(
                f"units of the program define {name} in different ways, and where it is only "
                "declared any of them may be meant",
                code="INCOMPLETE_TYPE",
                hint="memory behind an address is written +OFFSET(ADDRESS)",
            )
        return found

    def _look_into(self, holder: Die, path: _Path) -> None:
        for child in holder.children():
            if child.tag not in _HOLDERS:
                continue
            name = self._entries.name_of(child)
            here = (*path, name)
            if child.tag in STRUCTS and name and not is_declaration(child):
                known = self._found.setdefault(here, child)
                if known is not None and _shape(known) != _shape(child):
                    self._found[here] = None
            if child.has_children and len(path) < _DEEPEST:
                self._look_into(child, here)

    def _path_to(self, die: Die) -> _Path:
        return tuple(reversed([*self._names_around(die)]))

    def _names_around(self, die: Die | None) -> Iterator[str]:
        for _ in range(_DEEPEST):
            if die is None or die.tag not in _HOLDERS:
                return
            yield self._entries.name_of(die)
            die = die.parent()


def _shape(struct: Die) -> tuple[int, int]:
    """What differs between structs that only have the name in common."""
    return number(struct, "DW_AT_byte_size"), number(struct, "DW_AT_decl_line")
