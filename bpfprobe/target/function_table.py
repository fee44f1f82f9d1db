"""The functions of an ELF file by name and by place, those of its debug file among them."""

from __future__ import annotations

from bisect import bisect_right
from functools import cached_property
from typing import TYPE_CHECKING

from bpfprobe.errors import TargetError
from bpfprobe.model.machine import BinarySymbol, FileOffset, VirtualAddress
from bpfprobe.model.noun import dataclass
from bpfprobe.target.nearness import matching_names, nearest_names
from bpfprobe.target.source_names import SourceNames, looks_like_source

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class FunctionEntry:
    """A function as a symbol table has it; ``version`` with its ``@`` or ``@@``, or empty."""

    name: str
    version: str
    address: int
    size: int
    is_chooser: bool


class FunctionTable:
    """Functions of one or more symbol tables of ``path``.

    ``text`` holds (file offset, size in bytes, virtual address) of each executable segment.
    """

    def __init__(
        self, entries: Iterable[FunctionEntry], path: str, text: tuple[tuple[int, int, int], ...]
    ) -> None:
        self.entries = tuple(entries)
        self._path = path
        self._text = text

    def named(self, name: str) -> tuple[BinarySymbol, ...]:
        """Functions of that name, each address once, by address.

        A name without a version means the default version where there is one; one ``@`` or two are
        the same, as programs say one of either kind. A name that no symbol has may be that of a C++
        or Rust source, then each function found goes by its mangled name.
        Raises `TargetError`: IFUNC where the name is only that of a function that chooses another
        at run time, NO_DEMANGLER.
        """
        plain = self._by_name.get(name, [])
        whole = [e for e in self._by_name.get(name.partition("@")[0], []) if _goes_by(e, name)]
        default = [entry for entry in plain if not _is_old(entry)]
        chosen = whole or default or plain
        mangled: dict[str, str] = {}
        if not chosen:
            mangled = dict(self.source_names.find(name))
            chosen = [entry for one in mangled for entry in self._by_name[one]]
        code = [entry for entry in chosen if not entry.is_chooser]
        if chosen and not code:
            raise self._chooser(name)
        found: dict[int, BinarySymbol] = {}
        for entry in sorted(code, key=lambda entry: entry.address):
            offset = FileOffset(self._offset_of(entry.address) or 0)
            address = VirtualAddress(entry.address)
            shown = entry.name if mangled else name
            found.setdefault(address, BinarySymbol(shown, address, offset, entry.size))
        return tuple(found.values())

    def _chooser(self, name: str) -> TargetError:
        return TargetError(
            f"{name} in {self._path} has no code of its own: at run time a chooser (IFUNC) "
            "picks one of several functions",
            code="IFUNC",
            hint=f"`bpfprobe list 'uprobe:{self._path}:*{name.partition('@')[0]}*'` shows "
            "those that have names; a stripped library has none, then probe by file offset",
        )

    def source_name(self, name: str) -> str:
        """What its C++ or Rust source calls a symbol, empty for one that is not mangled."""
        return self.source_names.of(name)

    def function_at(self, offset: int) -> BinarySymbol | None:
        """The function that holds a file offset, or None.

        Where functions have no size (in assembler) the nearest one before is taken.
        """
        address = self._address_of(offset)
        if address is None:
            return None
        best = next((e for e in self._by_address(address) if e.size == 0 or
                     address < e.address + e.size), None)  # fmt: skip
        if best is None:
            return None
        start = FileOffset(self._offset_of(best.address) or 0)
        return BinarySymbol(best.name, VirtualAddress(best.address), start, best.size)

    def _by_address(self, address: int) -> list[FunctionEntry]:
        """The last functions that begin at or before an address, the nearest first."""
        at = bisect_right(self._sorted, address, key=lambda entry: entry.address)
        return self._sorted[max(0, at - 4) : at][::-1]

    @cached_property
    def _by_name(self) -> dict[str, list[FunctionEntry]]:
        found: dict[str, list[FunctionEntry]] = {}
        for entry in self.entries:
            found.setdefault(entry.name, []).append(entry)
        return found

    @cached_property
    def _sorted(self) -> list[FunctionEntry]:
        return sorted(self.entries, key=lambda entry: (entry.address, entry.size, entry.name))

    def matching(self, pattern: str) -> tuple[str, ...]:
        """Names of functions that fit a glob, sorted; with ``::`` names of a C++ or Rust source."""
        if not looks_like_source(pattern):
            return matching_names(pattern, self._names)
        return self.source_names.fitting(pattern)

    def similar(self, name: str) -> tuple[str, ...]:
        """At most five names of functions that look like ``name``, other versions of it first."""
        plain, mark, _ = name.partition("@")
        versions = {e.name + e.version for e in self.entries if e.name == plain and e.version}
        if mark and versions:
            return tuple(sorted(versions)[:5])
        if not looks_like_source(name):
            return nearest_names(name, self._names)
        return self.source_names.similar(name)

    @cached_property
    def source_names(self) -> SourceNames:
        """The names of C++ and Rust sources."""
        return SourceNames(self._names)

    @cached_property
    def _names(self) -> frozenset[str]:
        current = {entry.name for entry in self.entries if not _is_old(entry)}
        code = (entry for entry in self.entries if not entry.is_chooser)
        # An old version with code does not count where the one that is meant is a chooser.
        return frozenset(e.name for e in code if not _is_old(e) or e.name not in current)

    def _offset_of(self, address: int) -> int | None:
        return next(
            (address - at + o for o, size, at in self._text if 0 <= address - at < size), None
        )

    def _address_of(self, offset: int) -> int | None:
        return next((offset - o + at for o, size, at in self._text if 0 <= offset - o < size), None)


def _goes_by(entry: FunctionEntry, name: str) -> bool:
    plain, _, version = name.partition("@")
    return entry.name == plain and entry.version.lstrip("@") == version.lstrip("@")


def _is_old(entry: FunctionEntry) -> bool:
    """Whether the version is one that only programs linked long ago ask for."""
    return entry.version.startswith("@") and not entry.version.startswith("@@")
