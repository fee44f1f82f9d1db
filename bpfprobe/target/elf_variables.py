"""Where a variable of an ELF file is: asked so seldom that tables are read for each question."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from bpfprobe.model.machine import VirtualAddress

if TYPE_CHECKING:
    from bpfprobe.target.elf import Bytes, ElfFile

_SHT_SYMTAB, _SHT_DYNSYM = 2, 11
_STT_NOTYPE, _STT_OBJECT, _STT_COMMON = 0, 1, 5


def read_variable(elf: ElfFile, data: Bytes, name: str) -> VirtualAddress | None:
    """The address of a variable; None where there is none of that name, or several.

    ``data`` is what ``elf`` was read from. Variables of threads have no address of their own.
    """
    layout = struct.Struct(elf.order + ("IBBHQQ" if elf.is_64 else "IIIBBH"))
    wanted = name.encode("utf-8", "surrogateescape") + b"\0"
    found: set[int] = set()
    tables = {table.kind: table for table in reversed(elf.sections)}  # at most one of either kind
    for kind in (_SHT_SYMTAB, _SHT_DYNSYM):
        table = tables.get(kind)
        if table is None or table.link >= len(elf.sections):
            continue
        strings = elf.content(elf.sections[table.link], data)
        entries = elf.content(table, data)
        for fields in layout.iter_unpack(entries[: len(entries) // layout.size * layout.size]):
            if elf.is_64:
                at, info, _, section, address, _ = fields
            else:
                at, address, _, info, _, section = fields
            is_variable = info & 0xF in (_STT_NOTYPE, _STT_OBJECT, _STT_COMMON)
            if section and is_variable and strings.startswith(wanted, at):
                found.add(address)
    return VirtualAddress(found.pop()) if len(found) == 1 else None
