"""The functions of a unit of DWARF by the addresses of their first instructions."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from bpfprobe.target.dwarf_functions import entry_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfprobe.target.dwarf_units import Die, Unit

_FUNCTION = "DW_TAG_subprogram"
_HOLDERS = ("DW_TAG_namespace", "DW_TAG_structure_type", "DW_TAG_class_type", "DW_TAG_union_type",
            "DW_TAG_module")  # fmt: skip
_CODE = {"DW_AT_low_pc", "DW_AT_ranges"}
_DEEPEST = 40


class FunctionIndex:
    """The functions of a unit, looked through once; the insides of functions when asked for."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    def find(self, address: int) -> Die | None:
        """The function that begins at an address: of lambdas, methods of local classes, nested and
        contained functions too.
        """
        offset = self._outer.get(address)
        if offset is None:
            offset = self._inner.get(address)
        return self._unit.entry(offset) if offset is not None else None

    @cached_property
    def _outer(self) -> dict[int, int]:
        """Those of the unit, its namespaces, classes and modules."""
        return _entries(_functions(self._unit.top, 0))

    @cached_property
    def _inner(self) -> dict[int, int]:
        """All, those within other functions and their blocks among them."""
        return _entries(self._unit.all_with(_FUNCTION))


def _entries(functions: Iterator[Die]) -> dict[int, int]:
    found: dict[int, int] = {}
    for function in functions:
        if not _CODE.isdisjoint(function.names):
            entry = entry_of(function)
            if entry is not None:
                found.setdefault(entry, function.offset)
    return found


def _functions(parent: Die, depth: int) -> Iterator[Die]:
    for child in parent.cu.below(parent, (_FUNCTION, *_HOLDERS)) if parent.has_children else ():
        if child.tag == _FUNCTION:
            yield child
        elif depth < _DEEPEST:
            yield from _functions(child, depth + 1)
