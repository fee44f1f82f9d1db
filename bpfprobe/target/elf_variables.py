"""Symbols that are no functions: asked about so seldom that tables are read for each question."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from bpfprobe.model.machine import OtherSymbol, VirtualAddress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfprobe.target.elf import Bytes, ElfFile

_SHT_SYMTAB, _SHT_DYNSYM = 2, 11
_STT_NOTYPE, _STT_OBJECT, _STT_FUNC, _STT_COMMON, _STT_TLS = 0, 1, 2, 5, 6


def read_variable(elf: ElfFile, data: Bytes, name: str) -> VirtualAddress | None:
    """The address of a variable; None where there is none of that name, or several.

    ``data`` is what ``elf`` was read from. Variables of threads have no address of their own.
    """
    kinds = (_STT_NOTYPE, _STT_OBJECT, _STT_COMMON)
    found = {address for kind, section, address in _named(elf, data, name)
             if section and kind in kinds}  # fmt: skip
    return VirtualAddress(found.pop()) if len(found) == 1 else None


def read_other_symbol(elf: ElfFile, data: Bytes, name: str) -> OtherSymbol | None:
    """See `Target.other_symbol`; ``data`` is as above."""
    is_imported = False
    for kind, section, address in _named(elf, data, name.partition("@")[0]):
        if not section:
            is_imported |= kind in (_STT_NOTYPE, _STT_FUNC)
        elif kind in (_STT_OBJECT, _STT_COMMON, _STT_TLS):
            return OtherSymbol("data", VirtualAddress(address))
        elif kind == _STT_NOTYPE:
            is_code = elf.offset_of(address) is not None
            return OtherSymbol("label" if is_code else "data", VirtualAddress(address))
    return OtherSymbol("imported", VirtualAddress(0)) if is_imported else None


def _named(elf: ElfFile, data: Bytes, name: str) -> Iterator[tuple[int, int, int]]:
    """Type, section (0 for none) and address of each symbol of a name, whatever its version."""
    layout = struct.Struct(elf.order + ("IBBHQQ" if elf.is_64 else "IIIBBH"))
    text = name.encode("utf-8", "surrogateescape")
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
            # In .symtab the version is a part of the name: puts@GLIBC_2.2.5.
            if strings.startswith((text + b"\0", text + b"@"), at):
                yield info & 0xF, section, address
