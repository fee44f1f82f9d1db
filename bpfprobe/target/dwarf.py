"""Functions, types and lines of a program out of its DWARF, read by pyelftools.

Only the compilation unit that has a function is read: ``.debug_aranges`` says which one it is, and
where a compiler writes none, the first entry of each unit.
"""

from __future__ import annotations

import struct
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from bpfprobe.errors import MissingLibraryError, TargetError
from bpfprobe.model.machine import VirtualAddress
from bpfprobe.target.dwarf_alternate import open_alternate
from bpfprobe.target.dwarf_entries import Entries, number
from bpfprobe.target.dwarf_functions import is_described, prototype_of
from bpfprobe.target.dwarf_index import FunctionIndex
from bpfprobe.target.dwarf_sections import check_line_header, open_dwarf
from bpfprobe.target.dwarf_types import members_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from bpfprobe.model.ktype import Member, Prototype
    from bpfprobe.target.dwarf_alternate import Alternate
    from bpfprobe.target.dwarf_sections import Reads
    from bpfprobe.target.dwarf_units import Die, Unit

_OLD = ("0.29", "0.30", "0.31")
_NEAREST = 4


class DwarfFile:
    """The DWARF of an ELF file, open while this lives. ``mark`` goes above the ids of its structs.

    ``is_there`` is false where the file has none. Methods raise `TargetError` (BAD_DWARF) for what
    contradicts itself, and the constructor `MissingLibraryError` without pyelftools.
    """

    def __init__(self, file: BinaryIO, path: str, mark: int) -> None:
        try:
            from elftools.elf.elffile import ELFFile
        except ImportError as error:
            raise MissingLibraryError(
                f"names of arguments and lines are in the DWARF of {path}, and pyelftools, which "
                "reads it, is not installed",
                hint="Debian: python3-pyelftools; pip: bpfprobe[dwarf]",
                code="NO_PYELFTOOLS",
            ) from error
        self.path = path
        self._indexes: dict[int, FunctionIndex] = {}
        self._reads: list[Reads] = []
        alternate: Alternate | None = None
        with self._reading():
            elf = ELFFile(file)
            names = (".debug_info", ".zdebug_info")
            self.is_there = any(elf.get_section_by_name(name) is not None for name in names)
            if self.is_there:
                self._dwarf = open_dwarf(elf, path)
                alternate = open_alternate(elf, path)
                self._reads = [self._dwarf.reads]
                if alternate is not None and alternate.dwarf is not None:
                    self._reads.append(alternate.dwarf.reads)
                self._entries = Entries(self._dwarf, mark, alternate)

    def prototype(self, address: int) -> Prototype | None:
        """The function that begins at an address, None where the file does not describe it."""
        if not self.is_there:
            return None
        with self._reading():
            function = self._function(address)
            if function is None:
                self._check_split(address)
                return None
            if not is_described(function):
                return None
            return prototype_of(function, address, self._entries)

    def members(self, type_id: int) -> tuple[Member, ...]:
        """The members of a struct that `prototype` named."""
        with self._reading():
            return members_of(self._entries.entry(type_id), self._entries)

    def addresses(self, file: str, line: int) -> tuple[VirtualAddress, ...]:
        """Where the code of a line begins, wherever it stands more than once.

        Raises `TargetError`: NO_SOURCE_FILE, NON_UNIQ_FILE, NO_CODE_AT_LINE.
        """
        with self._reading():
            rows = list(self._rows(file))
        files = sorted({row[0] for row in rows})
        if not files:
            raise TargetError(
                f"no code of {self.path} comes from a file {file}", code="NO_SOURCE_FILE"
            )
        if len(files) > 1:
            raise TargetError(
                f"{len(files)} files that {self.path} was made of are called {file}",
                code="NON_UNIQ_FILE",
                hint="give more of the path: " + ", ".join(files[:10]),
            )
        found = sorted({address for _, number, address in rows if number == line})
        if not found:
            raise self._no_code(file, line, {number for _, number, _ in rows})
        return tuple(VirtualAddress(address) for address in found)

    def _no_code(self, file: str, line: int, lines: set[int]) -> TargetError:
        near = sorted(sorted(lines - {0}, key=lambda other: abs(other - line))[:_NEAREST])
        return TargetError(
            f"line {line} of {file} has no code of its own in {self.path}",
            code="NO_CODE_AT_LINE",
            hint=f"lines near it that do: {', '.join(map(str, near))}" if near else None,
        )

    def _rows(self, wanted: str) -> Iterator[tuple[str, int, int]]:
        """(file, line, address) where a statement begins, of each file that is called so."""
        units = self._dwarf.units if self.is_there else ()
        tail = "/" + wanted.removeprefix("./").lstrip("/")
        named = [unit for unit in units if f"/{self._entries.name_of(unit.top)}".endswith(tail)]
        for unit in named or units:  # a header's code is in the units that include it
            self._check_lines(unit)
            program = self._dwarf.info.line_program_for_CU(unit)
            if program is None:
                continue
            names = _file_names(program)
            fits = {n: name for n, name in names.items() if f"/{name}".endswith(tail)}
            if fits:
                yield from _statements(program, fits)

    def _check_split(self, address: int) -> None:
        """Raise where what is known of an address was put into a file of its own."""
        for unit in self._units_of(address):
            attributes = unit.top.attributes
            for name in ("DW_AT_dwo_name", "DW_AT_GNU_dwo_name"):
                if name in attributes:
                    file = attributes[name].value.decode(errors="surrogateescape")
                    raise TargetError(
                        f"the debug information of this function is in {file}, and such files "
                        "are not read",
                        code="SPLIT_DWARF",
                        hint="build the program without -gsplit-dwarf",
                    )

    def _check_lines(self, unit: Unit) -> None:
        top, section = unit.top, self._dwarf.info.debug_line_sec
        if section is not None and "DW_AT_stmt_list" in top.attributes:
            offset = number(top, "DW_AT_stmt_list")
            is_little = self._dwarf.order == "little"
            check_line_header(section.stream, offset, is_little=is_little)

    def _function(self, address: int) -> Die | None:
        found = (self._index(unit).find(address) for unit in self._units_of(address))
        return next((function for function in found if function is not None), None)

    def _index(self, unit: Unit) -> FunctionIndex:
        if unit.cu_offset not in self._indexes:
            self._indexes[unit.cu_offset] = FunctionIndex(unit)
        return self._indexes[unit.cu_offset]

    @cached_property
    def _ranges(self) -> Any:
        """What ``.debug_aranges`` says, which pyelftools parses whole each time it is asked."""
        return self._dwarf.info.get_aranges()

    def _units_of(self, address: int) -> Iterator[Unit]:
        offset = self._ranges.cu_offset_at_addr(address) if self._ranges else None
        if offset is not None:
            yield self._dwarf.unit_at(offset)
            return
        for unit in self._dwarf.units:
            extent = self._extents[unit.cu_offset]
            if extent is not None and extent[0] <= address < extent[1]:
                yield unit

    @cached_property
    def _extents(self) -> dict[int, tuple[int, int] | None]:
        """The addresses of each unit by its offset, None for one without code."""
        return {unit.cu_offset: _extent(unit.top) for unit in self._dwarf.units}

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """pyelftools meets what is damaged with whatever its own reading of it runs into."""
        import zlib

        from elftools.common.exceptions import DWARFError, ELFError

        for reads in self._reads:
            reads.begin()
        try:
            yield
        except (
            ArithmeticError, AssertionError, AttributeError, DWARFError, ELFError, LookupError,
            NotImplementedError, OSError, RecursionError, TypeError, ValueError, struct.error,
            zlib.error,
        ) as error:  # fmt: skip
            raise TargetError(
                f"the debug information of {self.path} cannot be read: "
                f"{str(error) or type(error).__name__}",
                code="BAD_DWARF",
                hint=_hint_for_damage(),
            ) from error


def _hint_for_damage() -> str:
    """What may help: 0.29, which Debian 12 has, stops at lines that Clang writes, among others."""
    import elftools

    version = str(elftools.__version__)
    if version in _OLD:
        return f"pyelftools {version} may be too old for it, 0.32 reads more (pip: bpfprobe[dwarf])"
    return "readelf --debug-dump=info shows what it makes of it"


def _extent(top: Die) -> tuple[int, int] | None:
    """The first address of a unit and the one after its last."""
    if "DW_AT_high_pc" in top.attributes:
        start, high = number(top, "DW_AT_low_pc"), top.attributes["DW_AT_high_pc"]
        is_address = high.form.startswith("DW_FORM_addr")
        return start, high.value if is_address else start + high.value
    # Of several pieces: finding out costs as much as looking into it.
    return (0, 1 << 64) if "DW_AT_ranges" in top.attributes else None


def _file_names(program: Any) -> dict[int, str]:
    """The files of a unit by their numbers, which begin with 0 in DWARF 5 and with 1 before."""
    header = program.header
    since_5 = header.version >= 5
    folders = [_text(folder) for folder in header.include_directory]
    if not since_5:
        folders.insert(0, "")
    names = {}
    for n, entry in enumerate(header.file_entry, 0 if since_5 else 1):
        folder = folders[entry.dir_index] if entry.dir_index < len(folders) else ""
        name = _text(entry.name)
        names[n] = name if name.startswith("/") or not folder else f"{folder}/{name}"
    return names


def _text(raw: bytes) -> str:
    return raw.decode(errors="surrogateescape")


def _statements(program: Any, files: dict[int, str]) -> Iterator[tuple[str, int, int]]:
    """Where the code of a line begins: rows that follow one of the same line go on with it."""
    last: tuple[int, int] | None = None
    for entry in program.get_entries():
        state = entry.state
        if state is None:
            continue
        here = (state.file, state.line)
        if state.end_sequence:
            last = None
        elif state.is_stmt:
            if here != last and state.file in files:
                yield files[state.file], state.line, state.address
            last = here
