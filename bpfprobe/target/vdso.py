"""The functions of the library that the kernel maps into every program, vdso(7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import TargetError
from bpfprobe.target.elf import ElfFile, InMemory
from bpfprobe.target.procmaps import read_all_mappings

if TYPE_CHECKING:
    from bpfprobe.target.function_table import FunctionTable

VDSO = "[vdso]"


def vdso_functions() -> FunctionTable | None:
    """Those of this process, which has the same as all of its machine; None where there is none."""
    try:
        with open("/proc/self/maps") as maps:
            own = next((one for one in read_all_mappings(maps) if one.path == VDSO), None)
        if own is None:
            return None
        with open("/proc/self/mem", "rb", buffering=0) as memory:
            memory.seek(own.start)
            return ElfFile(InMemory(memory.read(own.end - own.start)), VDSO).functions
    except (OSError, TargetError):
        return None
