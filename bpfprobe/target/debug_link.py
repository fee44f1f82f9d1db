"""How an ELF file names the file with its debug symbols: by build-id, or by name and checksum.

The note is that of ``ld --build-id``, the section that of ``objcopy --add-gnu-debuglink``; where
they lead is told by GDB's manual, "Debugging Information in Separate Files".
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfprobe.target.elf import Bytes, ElfFile

DEBUG_ROOT = "/usr/lib/debug"

_SHT_NOTE, _NT_GNU_BUILD_ID = 7, 3
_MOST_BYTES = 65536
"""Of a note or a link. Both have some dozens."""

_CHUNK = 1 << 20
_MOST_SUMMED = 4 << 30


class DebugLink(NamedTuple):
    """What an ELF file says, empty where it says nothing; ``crc`` is that of the debug file."""

    build_id: bytes
    name: str
    crc: int

    def paths(self, folder: str) -> Iterator[str]:
        """Where the debug file of a program in ``folder`` may be, in GDB's order."""
        if len(self.build_id) > 1:
            name = self.build_id.hex()
            yield f"{DEBUG_ROOT}/.build-id/{name[:2]}/{name[2:]}.debug"
        if self.name:
            yield f"{folder}/{self.name}"
            yield f"{folder}/.debug/{self.name}"
            yield f"{DEBUG_ROOT}{folder}/{self.name}"


def read_debug_link(elf: ElfFile, data: Bytes) -> DebugLink:
    """Build-id and link of a file; ``data`` is what ``elf`` was read from.

    Raises `TargetError` (TRUNCATED_ELF).
    """
    name, crc = "", 0
    section = elf.section(".gnu_debuglink")
    if section is not None and section.size <= _MOST_BYTES:
        content = elf.content(section, data)
        end = content.find(b"\0")
        at = (end + 4) & ~3
        if end > 0 and at + 4 <= len(content) and b"/" not in content[:end]:
            name = content[:end].decode(errors="surrogateescape")
            (crc,) = struct.unpack_from(elf.order + "I", content, at)
    return DebugLink(_build_id(elf, data), name, crc)


def _build_id(elf: ElfFile, data: Bytes) -> bytes:
    left = data.size
    for section in elf.sections:
        if section.kind != _SHT_NOTE or section.size > min(_MOST_BYTES, left):
            continue
        left -= section.size  # sections of a damaged file may lie over one another
        notes, at = elf.content(section, data), 0
        while at + 12 <= len(notes):
            owner_size, size, kind = struct.unpack_from(elf.order + "III", notes, at)
            start = at + 12 + ((owner_size + 3) & ~3)
            owner = notes[at + 12 : at + 12 + owner_size]
            if kind == _NT_GNU_BUILD_ID and owner == b"GNU\0":
                return notes[start : start + size]
            at = start + ((size + 3) & ~3)
    return b""


def checksum(data: Bytes) -> int | None:
    """The CRC-32 that a link gives, of the whole file; None for one too large to be read."""
    if data.size > _MOST_SUMMED:
        return None
    crc = 0
    for offset in range(0, data.size, _CHUNK):
        crc = zlib.crc32(data.read(offset, _CHUNK), crc)
    return crc
