"""Names for addresses of the machine underneath, looked up when they are asked for."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from bpfprobe.errors import BpfprobeError
from bpfprobe.model.symbol import Location
from bpfprobe.target.binaries import LiveBinaries
from bpfprobe.target.files import Files
from bpfprobe.target.kallsyms import Kallsyms
from bpfprobe.target.procmaps import Mapping, read_mappings

if TYPE_CHECKING:
    from bpfprobe.target.function_table import FunctionTable

MAX_ADDRESSES = 65536
"""Of how many kernel addresses the names are remembered: each look-up goes through 8 MB."""
MAX_PROCESSES = 256
"""Of how many processes the mapped files are remembered."""


class LiveSymbolizer:
    """A `bpfprobe.model.symbol.Symbolizer` of this machine.

    The kernel's names are read once, the mapped files of a process when one of its addresses is
    first asked for: a process that has ended by then has no names.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._files = Files(root)
        self._binaries = LiveBinaries(self._files, os.uname().machine)
        self._places: dict[int, Location | None] = {}
        self._maps: dict[int, list[Mapping]] = {}
        self._tables: dict[tuple[int, int], FunctionTable | None] = {}

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
        """From /proc/PID/maps and the symbol tables of the files in it, or of their debug files."""
        place = self._mapping(pid, address)
        if place is None:
            return None
        offset = address - place.start + place.offset
        table = self._functions(pid, place)
        found = table.function_at(offset) if table is not None else None
        if found is None:
            return Location("", offset, 0, place.path)
        return Location(found.name, offset - found.offset, found.size, place.path)

    @cached_property
    def _kallsyms(self) -> Kallsyms:
        return Kallsyms(self._files.read("/proc/kallsyms").data or b"")

    def _mapping(self, pid: int, address: int) -> Mapping | None:
        for fresh in (False, True):  # what a process maps changes: dlopen(3), exec
            if fresh or pid not in self._maps:
                self._read_maps(pid)
            for mapping in self._maps[pid]:
                if mapping.start <= address < mapping.end:
                    return mapping
        return None

    def _read_maps(self, pid: int) -> None:
        if len(self._maps) >= MAX_PROCESSES:
            self._maps.clear()
        data = self._files.read(f"/proc/{pid}/maps").data or b""
        self._maps[pid] = list(read_mappings(os.fsdecode(data).splitlines()))

    def _functions(self, pid: int, place: Mapping) -> FunctionTable | None:
        key = (place.device, place.inode)
        if key not in self._tables:
            try:
                self._tables[key] = self._binaries.functions(self._binaries.find(place.path, pid))
            except BpfprobeError:  # deleted, no ELF file, out of reach: the file has no names
                self._tables[key] = None
        return self._tables[key]
