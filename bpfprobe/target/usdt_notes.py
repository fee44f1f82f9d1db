"""The markers of an ELF file, out of its notes.

Each place of a marker is a note of type 3 and owner ``stapsdt`` in section ``.note.stapsdt``: three
addresses (the place, that of section ``.stapsdt.base`` when the file was linked, the semaphore),
then provider, name and arguments, each with a NUL. As prelink(8) moves sections and not notes, an
address counts from where the base is now
(https://sourceware.org/systemtap/wiki/UserSpaceProbeImplementation).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from bpfprobe.errors import TargetError
from bpfprobe.model.machine import FileOffset, UsdtLocation, UsdtMarker, VirtualAddress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfprobe.target.elf import Bytes, ElfFile

_SECTION, _BASE_SECTION = ".note.stapsdt", ".stapsdt.base"
_OWNER, _TYPE = b"stapsdt\0", 3
_MOST_BYTES = 16 << 20
"""Of notes. The largest programs known have a few hundred kilobytes."""


def read_markers(elf: ElfFile, data: Bytes) -> tuple[UsdtMarker, ...]:
    """The markers of a file, by provider and name; none where it has no such notes.

    ``data`` is what ``elf`` was read from. Raises `TargetError` (USDT_NOTE) for notes that
    contradict themselves or the file.
    """
    places: dict[tuple[str, str], dict[int, UsdtLocation]] = {}
    semaphores: dict[tuple[str, str], int] = {}
    for key, address, semaphore, arguments in _notes(elf, data):
        offset = elf.offset_of(address)
        if offset is None:
            raise _damaged(elf, f"{':'.join(key)} stands at {address:#x}, where no code is")
        place = UsdtLocation(VirtualAddress(address), FileOffset(offset), arguments)
        places.setdefault(key, {})[address] = place
        semaphores[key] = semaphores.get(key, 0) or semaphore
    return tuple(
        _marker(elf, key, tuple(found[address] for address in sorted(found)), semaphores[key])
        for key, found in sorted(places.items())
    )


def _marker(
    elf: ElfFile, key: tuple[str, str], locations: tuple[UsdtLocation, ...], semaphore: int
) -> UsdtMarker:
    offset = elf.data_offset_of(semaphore) if semaphore else 0
    if offset is None:
        raise _damaged(elf, f"the semaphore of {':'.join(key)} is at {semaphore:#x}, outside of it")
    return UsdtMarker(*key, locations, VirtualAddress(semaphore), FileOffset(offset))


def _notes(elf: ElfFile, data: Bytes) -> Iterator[tuple[tuple[str, str], int, int, str]]:
    """(provider, name), address, address of the semaphore, arguments, of each note."""
    section = elf.section(_SECTION)
    if section is None:
        return
    if section.size > _MOST_BYTES:
        raise _damaged(elf, f"the section {_SECTION} is said to have {section.size} bytes")
    notes = elf.content(section, data)
    base = elf.section(_BASE_SECTION)
    word = 8 if elf.is_64 else 4
    head = struct.Struct(elf.order + "III")
    addresses = struct.Struct(elf.order + ("QQQ" if elf.is_64 else "III"))
    at = 0
    while at + head.size <= len(notes):
        owner_size, size, kind = head.unpack_from(notes, at)
        owner_at = at + head.size
        start = owner_at + _padded(owner_size)
        at = start + _padded(size)
        if at > len(notes):
            raise _damaged(elf, "a note is cut off")
        if kind != _TYPE or notes[owner_at : owner_at + owner_size] != _OWNER:
            continue
        strings = notes[start + addresses.size : start + size].split(b"\0")
        if size < 3 * word or len(strings) < 4:
            raise _damaged(elf, "a note has no provider, name and arguments")
        address, linked_base, semaphore = addresses.unpack_from(notes, start)
        moved = base.address - linked_base if base is not None and linked_base else 0
        provider, name, arguments = (part.decode(errors="surrogateescape") for part in strings[:3])
        yield (provider, name), address + moved, semaphore + moved if semaphore else 0, arguments


def _padded(size: int) -> int:
    return (size + 3) & ~3


def _damaged(elf: ElfFile, cause: str) -> TargetError:
    return TargetError(
        f"the markers of {elf.path} cannot be read: {cause}",
        code="USDT_NOTE",
        hint=f"readelf -n {elf.path} shows what it makes of them",
    )
