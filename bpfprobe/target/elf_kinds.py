"""ELF files that nothing runs as they are: each refused by what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import TargetError

if TYPE_CHECKING:
    from bpfprobe.target.elf import ElfFile

_ET_REL, _ET_CORE = 1, 4  # <elf.h>
_PT_LOAD, _PF_X = 1, 1


def refuse_unrunnable(elf: ElfFile) -> None:
    """Raise `TargetError` (NOT_RUN) for what no process maps to execute it."""
    if elf.kind == _ET_REL:
        what = "an object file that has not been linked"
        hint = "probe the program or library that was linked from it (of a kernel module: kprobe)"
    elif elf.kind == _ET_CORE:
        what, hint = "the memory of a program that crashed", "probe the program itself"
    elif _has_lost_its_code(elf):
        what, hint = "a debug file: its code was left out", "probe the file that it was made from"
    else:
        return
    raise TargetError(f"{elf.path} is {what}", code="NOT_RUN", hint=hint)


def _has_lost_its_code(elf: ElfFile) -> bool:
    """As objcopy --only-keep-debug leaves it: segments of code, and no byte of them."""
    code = [part for part in elf.segments if part.kind == _PT_LOAD and part.flags & _PF_X]
    return bool(code) and not any(part.size for part in code)
