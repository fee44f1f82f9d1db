"""ELF files of the machine underneath: found, opened once, and held against what a process maps."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from bpfprobe.errors import TargetError
from bpfprobe.model.machine import Binary
from bpfprobe.target.elf import ElfFile
from bpfprobe.target.elf_kinds import refuse_unrunnable
from bpfprobe.target.elf_variables import read_other_symbol, read_variable
from bpfprobe.target.file_bytes import FileBytes, opened
from bpfprobe.target.function_table import FunctionTable
from bpfprobe.target.locator import Locator
from bpfprobe.target.usdt_notes import read_markers

if TYPE_CHECKING:
    from collections.abc import Callable

    from bpfprobe.model.ktype import KStruct, Member, Prototype
    from bpfprobe.model.machine import (
        BinarySymbol,
        DebugSymbols,
        FileOffset,
        Instruction,
        OtherSymbol,
        UsdtMarker,
        VirtualAddress,
    )
    from bpfprobe.target.debug_files import DebugFiles
    from bpfprobe.target.dwarf import DwarfFile
    from bpfprobe.target.files import Files

Found = TypeVar("Found")

DWARF_MARK = 1 << 62
"""In the type ids of structs out of DWARF."""

_DWARF_SHIFT = 40
"""Above it stands which file, below the place of the struct's entry in it."""


class LiveBinaries:
    """ELF files of the machine that ``files`` shows."""

    def __init__(self, files: Files, machine: str) -> None:
        self._locator = Locator(files, machine)
        self._machine = machine
        self._root = files.root
        self._open: dict[str, ElfFile] = {}
        self._identities: dict[str, tuple[int, ...]] = {}
        self._tables: dict[str, FunctionTable] = {}
        self._dwarfs: dict[str, DwarfFile | None] = {}
        self._markers: dict[str, tuple[UsdtMarker, ...]] = {}

    def find(self, name: str, pid: int | None) -> Binary:
        """The file that ``name`` means, see `Target.binary`."""
        path = self._locator.locate(name, pid)
        elf = self._current(path)
        if elf.machine != self._machine:
            raise TargetError(
                f"{path} is a program for {elf.machine}, this machine is {self._machine}",
                code="OTHER_MACHINE",
            )
        refuse_unrunnable(elf)
        return Binary(str(path), elf.machine, elf.text, elf.is_go)

    def elf(self, binary: Binary) -> ElfFile:
        """The file behind a `Binary`, read again where another target found it."""
        if binary.path not in self._open:
            self._open[binary.path] = self._read(Path(binary.path))
        return self._open[binary.path]

    def functions(self, binary: Binary) -> FunctionTable:
        """All functions of a file that have names, in itself or in its debug file."""
        elf = self.elf(binary)
        if not elf.is_stripped:
            return elf.functions
        if binary.path not in self._tables:
            _, debug = self._debug.find(elf)
            entries = [*elf.functions.entries, *(debug.functions.entries if debug else ())]
            self._tables[binary.path] = FunctionTable(entries, binary.path, elf.text)
        return self._tables[binary.path]

    def named(self, binary: Binary, name: str) -> tuple[BinarySymbol, ...]:
        """See `Target.binary_symbols`. A debug file is looked for only where it is needed."""
        return self.elf(binary).functions.named(name) or self.functions(binary).named(name)

    def debug_symbols(self, binary: Binary) -> DebugSymbols:
        """See `Target.debug_symbols`."""
        return self._debug.find(self.elf(binary))[0]

    def other_symbol(self, binary: Binary, name: str) -> OtherSymbol | None:
        """See `Target.other_symbol`."""
        return self._reread(binary, lambda elf, data: read_other_symbol(elf, data, name))

    def instruction_at(
        self, binary: Binary, offset: FileOffset, is_start: bool = False
    ) -> Instruction:
        """See `Target.instruction_at`."""
        from bpfprobe.target.instructions import beginning_at, instruction_at

        with opened(Path(binary.path)) as data:
            if is_start:
                return beginning_at(data, offset)
            function = self.functions(binary).function_at(offset)
            return instruction_at(self.elf(binary), data, function, offset)

    def prototype(self, binary: Binary, entry: VirtualAddress) -> Prototype | None:
        """See `Target.binary_prototype`."""
        dwarf = self._dwarf(binary)
        return dwarf.prototype(entry) if dwarf else None

    def source_lines(self, binary: Binary, file: str, line: int) -> tuple[VirtualAddress, ...]:
        """See `Target.source_lines`."""
        dwarf = self._dwarf(binary)
        if dwarf is None:
            package = self.package(binary)
            more = f", or install {package}-dbgsym" if package else ""
            raise TargetError(
                f"{binary.path} has no debug information, and so no lines of a source",
                code="NO_DEBUG_INFO",
                hint=f"build it with -g{more}",
            )
        return dwarf.addresses(file, line)

    def members(self, struct: KStruct) -> tuple[Member, ...]:
        """The members of a struct that `prototype` named."""
        number = (struct.type_id & ~DWARF_MARK) >> _DWARF_SHIFT
        dwarf = [*self._dwarfs.values()][number] if number < len(self._dwarfs) else None
        return dwarf.members(struct.type_id) if dwarf else ()

    def _dwarf(self, binary: Binary) -> DwarfFile | None:
        """The debug information of a file, its own or that of its debug file."""
        if binary.path not in self._dwarfs:
            self._dwarfs[binary.path] = None
            elf = self.elf(binary)
            path = binary.path
            if not (elf.section(".debug_info") or elf.section(".zdebug_info")):
                path = self._debug.find(elf)[0].path
            if path:
                mark = DWARF_MARK | (len(self._dwarfs) - 1) << _DWARF_SHIFT
                self._dwarfs[binary.path] = _read_dwarf(path, mark)
        return self._dwarfs[binary.path]

    def package(self, binary: Binary) -> str:
        """See `Target.binary_package`."""
        return self._debug.package(binary.path)

    @cached_property
    def _debug(self) -> DebugFiles:
        from bpfprobe.target.debug_files import DebugFiles  # few files are stripped and asked about

        return DebugFiles(self._root)

    def markers(self, binary: Binary) -> tuple[UsdtMarker, ...]:
        """See `Target.markers`."""
        if binary.path not in self._markers:
            self._markers[binary.path] = self._reread(binary, read_markers)
        return self._markers[binary.path]

    def variable(self, binary: Binary, name: str) -> VirtualAddress | None:
        """See `Target.binary_variable`."""
        return self._reread(binary, lambda elf, data: read_variable(elf, data, name))

    def mapped_files(self, pid: int) -> tuple[str, ...]:
        """See `Target.mapped_files`."""
        return self._locator.mapped_files(pid)

    def is_mapped(self, pid: int, binary: Binary) -> bool:
        """Whether the process has the file mapped executable."""
        return self._locator.is_mapped(pid, binary.path)

    def _current(self, path: Path) -> ElfFile:
        """Return the file as it is now; read it only if it is not the one that was read before."""
        shown = str(path)
        with opened(path) as data:
            if self._identities.get(shown) != data.identity:
                self._open[shown] = ElfFile(data, shown)
                self._identities[shown] = data.identity
        return self._open[shown]

    def _read(self, path: Path) -> ElfFile:
        with opened(path) as data:
            return ElfFile(data, str(path))

    def _reread(self, binary: Binary, look: Callable[[ElfFile, FileBytes], Found]) -> Found:
        """What is seldom asked for: the file is opened and read anew, as it may have changed."""
        with opened(Path(binary.path)) as data:
            return look(ElfFile(data, binary.path), data)


def _read_dwarf(path: str, mark: int) -> DwarfFile | None:
    from bpfprobe.target.dwarf import DwarfFile
    from bpfprobe.target.lookup import open_regular

    with open(open_regular(Path(path), path), "rb") as file:
        found = DwarfFile(file, path, mark)
    return found if found.is_there else None
