"""Names for addresses of the machine underneath, looked up when they are asked for."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from bpfprobe.errors import BpfprobeError, MissingLibraryError
from bpfprobe.model.symbol import Location
from bpfprobe.target.binaries import LiveBinaries
from bpfprobe.target.files import Files
from bpfprobe.target.jit_names import JitNames, may_be_made
from bpfprobe.target.kallsyms import Kallsyms
from bpfprobe.target.process_maps import ProcessMaps
from bpfprobe.target.source_names import MANGLED
from bpfprobe.target.vdso import VDSO, vdso_functions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from bpfprobe.model.mapping import Mapping, ProcessRecord
    from bpfprobe.target.function_table import FunctionTable

MAX_ADDRESSES = 65536
"""Of how many kernel addresses the names are remembered: each look-up goes through 8 MB."""


class LiveSymbolizer:
    """A `bpfprobe.model.symbol.Symbolizer` of this machine.

    The kernel's names are read once. A process has names as long as it lives; with ``told``, what
    the kernel tells of processes, also one that has ended, if it began after this was made or was
    there then: `listen` must be called now and then.
    """

    def __init__(
        self, root: Path = Path("/"), told: Callable[[], Iterable[ProcessRecord]] | None = None
    ) -> None:
        self._files = Files(root)
        self._binaries = LiveBinaries(self._files, os.uname().machine)
        self._maps = ProcessMaps(self._files, told)
        self._made = JitNames(self._files)
        self._places: dict[int, Location | None] = {}
        self._tables: dict[tuple[int, int], FunctionTable | None] = {}
        self._source_names: dict[str, str] = {}
        self.listen = self._maps.listen
        if told is not None:
            self._maps.look_around()

    def kernel(self, address: int) -> Location | None:
        """From /proc/kallsyms."""
        if address not in self._places:
            if len(self._places) >= MAX_ADDRESSES:
                self._places.clear()
            found = self._kallsyms.symbol_at(address)
            place = None
            if found is not None:
                place = Location(found.name, address - found.start, found.size, found.module)
            self._places[address] = place
        return self._places[address]

    def user(self, pid: int, address: int) -> Location | None:
        """From what the process has mapped and the symbols of that file, or of its debug file.

        Of code that a program made, from what it wrote down in /tmp/perf-PID.map.
        """
        place = self._maps.at(pid, address)
        if place is None:
            return None
        offset = address - place.start + (place.offset if place.is_file else 0)
        table = self._functions(pid, place)
        found = table.function_at(offset) if table is not None else None
        if found is None and may_be_made(place):
            made = self._made.at(pid, address)
            if made is not None:
                return made
        if found is None:
            return Location("", offset, 0, place.path)
        source = self._in_source(found.name)
        symbol = found.name if source else ""
        return Location(source or found.name, offset - found.offset, found.size, place.path, symbol)

    def _in_source(self, symbol: str) -> str:
        """What the source calls a function, empty where that is the symbol itself or not known."""
        if not symbol.startswith(MANGLED):
            return ""
        if symbol not in self._source_names:
            if len(self._source_names) >= MAX_ADDRESSES:
                self._source_names.clear()
            self._source_names[symbol] = _demangled(symbol)
        return self._source_names[symbol]

    @cached_property
    def _kallsyms(self) -> Kallsyms:
        return Kallsyms(self._files.read("/proc/kallsyms").data or b"")

    def _functions(self, pid: int, place: Mapping) -> FunctionTable | None:
        if place.path == VDSO:
            return self._vdso
        key = (place.device, place.inode)
        if key not in self._tables:
            self._tables[key] = self._read_functions(pid, place) if place.is_file else None
        return self._tables[key]

    def _read_functions(self, pid: int, place: Mapping) -> FunctionTable | None:
        """Of the file that was mapped, which may not be the one that has its path now."""
        for name, of_process in self._names(pid, place):
            try:
                binary = self._binaries.find(name, of_process)
                if os.stat(binary.path).st_ino == place.inode:  # noqa: PTH116  # what is compared
                    return self._binaries.functions(binary)
            except (BpfprobeError, OSError):  # gone, no ELF file, out of reach
                continue
        return None

    def _names(self, pid: int, place: Mapping) -> Iterator[tuple[str, int | None]]:
        """Where the file may be found: by path as the process sees it, as we do, and by mapping."""
        if not place.is_deleted:
            if inside := self._inside(pid, place.path):
                yield inside, pid
            yield place.path, pid
            yield place.path, None
        # Leads to files without a name as well, for who has CAP_SYS_ADMIN.
        yield f"/proc/{pid}/map_files/{place.start:x}-{place.end:x}", None

    def _inside(self, pid: int, path: str) -> str:
        """A path as a process sees it that only has another root directory, else nothing.

        The kernel tells of its files as we see them, but its debug files are below that directory.
        """
        try:
            root = str(self._files.real(f"/proc/{pid}/root").readlink())
        except OSError:  # it has ended
            return ""
        return path.removeprefix(root) if root != "/" and path.startswith(f"{root}/") else ""

    @cached_property
    def _vdso(self) -> FunctionTable | None:
        """The functions of the kernel's own library, which all programs of this machine share."""
        return vdso_functions()


def _demangled(symbol: str) -> str:
    from bpfprobe.target.demangler import the_demangler  # which loads a library

    try:
        return the_demangler().demangle(symbol)
    except MissingLibraryError:  # it may be another's; the symbol is a name as well
        return ""
