"""What kind of program a command is: for which sort of processor, and by which loader it starts."""

from __future__ import annotations

import os
import shutil
import struct

from bpfprobe.model.noun import dataclass

_PT_INTERP = 3
_SCRIPTS = 5  # of scripts that are interpreters of scripts the kernel takes as many


@dataclass(frozen=True, slots=True)
class ProgramKind:
    """``bits`` is 32 or 64; ``loader`` the program that maps its libraries, "" for a static one."""

    path: str
    bits: int
    loader: str

    def lacks(self, library: str) -> str:
        """Return why it does not map a library (``*.so*``) of this machine, or "" if it may."""
        bits = _bits(library)
        if ".so" not in library or bits is None:
            return ""
        if bits != self.bits:
            return f"{self.path} is a {self.bits}-bit program, and {library} is for {bits}"
        if not self.loader:
            return f"{self.path} is linked statically: it maps no library"
        if "musl" in self.loader and "musl" not in library:
            return f"{self.path} is linked with musl, and maps its own C library"
        return ""


def program_kind(command: str) -> ProgramKind | None:
    """Return the kind of what a command (a path or a name) starts, None where that is not known.

    Of a script it is that of its interpreter.
    """
    path = shutil.which(command)
    for _ in range(_SCRIPTS):
        try:
            with open(path or "", "rb") as file:
                head = file.read(4096)
        except (OSError, ValueError):
            return None
        if head.startswith(b"#!"):
            words = head[2:].split(b"\n")[0].split()
            path = os.fsdecode(words[0]) if words else None
            continue
        return _of_elf(str(path), head)
    return None


def _of_elf(path: str, head: bytes) -> ProgramKind | None:
    try:
        if head[:4] != b"\x7fELF" or head[5] != 1:
            return None
        bits = {1: 32, 2: 64}[head[4]]
        at = (28, 42) if bits == 32 else (32, 54)
        (start,) = struct.unpack_from("<I" if bits == 32 else "<Q", head, at[0])
        size, count = struct.unpack_from("<HH", head, at[1])
        for number in range(min(count, 64)):
            entry = start + number * size
            if struct.unpack_from("<I", head, entry)[0] == _PT_INTERP:
                form, skip = ("<I8xI", 4) if bits == 32 else ("<Q16xQ", 8)
                offset, length = struct.unpack_from(form, head, entry + skip)
                return ProgramKind(path, bits, os.fsdecode(head[offset : offset + length - 1]))
    except (struct.error, KeyError, IndexError):
        return None
    return ProgramKind(path, bits, "")


def _bits(path: str) -> int | None:
    kind = program_kind(path) if os.path.isabs(path) else None  # noqa: PTH117  # a plain text
    return kind.bits if kind is not None else None
