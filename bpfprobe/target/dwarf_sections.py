"""The sections of DWARF, as pyelftools may have them: of a sane size, read so much and no more.

A damaged file can say that it unpacks to anything, and its entries can lead in circles or to one
another in numbers that no machine has time for. What is read is counted, not the time.
"""

from __future__ import annotations

import os
import zlib
from typing import TYPE_CHECKING, Any

from bpfprobe.errors import TargetError
from bpfprobe.target.dwarf_units import Dwarf

if TYPE_CHECKING:
    from typing import BinaryIO

_MOST_BYTES = 1 << 30
"""Of all debug sections. They are unpacked into memory, and a browser's are some gigabytes."""

_MOST_UNPACKED = 128
"""How many bytes one may be unpacked to. zlib could make a thousand, debug information has ten."""

_ALWAYS = 1 << 20
_MOST_READ = 32
"""How often all of it may be read for one question."""

_FORM_BYTES = {0x0B: 1, 0x05: 2, 0x06: 4, 0x07: 8, 0x1E: 16}  # DW_FORM_data1, 2, 4, 8, 16
_FORM_STRING, _FORM_UDATA, _FORM_BLOCK, _FORM_STRP, _FORM_LINE_STRP = 0x08, 0x0F, 0x09, 0x0E, 0x1F


class Reads:
    """How much may be read until `begin` is called again. Raises ValueError when that is spent."""

    def __init__(self, size: int) -> None:
        self._most = _MOST_READ * size + _ALWAYS
        self._left = self._most

    def begin(self) -> None:
        """Another question."""
        self._left = self._most

    def take(self, count: int) -> None:
        """A read of ``count`` bytes."""
        self._left -= count + 1
        if self._left < 0:
            raise ValueError("its entries lead to one another without an end")


class _Counted:
    """A stream whose reads are counted."""

    def __init__(self, stream: BinaryIO, reads: Reads) -> None:
        self._read, self._reads = stream.read, reads
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, count: int = -1) -> bytes:
        """As of the stream."""
        data = self._read(count)
        self._reads.take(len(data))
        return data


def open_dwarf(elf: Any, path: str) -> Dwarf:
    """The DWARF of pyelftools' ``ELFFile``, whose reads are counted.

    Raises `TargetError` (TOO_BIG), and ValueError for sections that contradict themselves.
    """
    reads = Reads(_checked_size(elf, path))
    _ask_for_what_is_read(elf)
    dwarf = elf.get_dwarf_info(relocate_dwarf_sections=False, follow_links=False)
    sections = {}
    for name, section in [*vars(dwarf).items()]:
        if hasattr(section, "stream") and hasattr(section, "_replace"):
            sections[name] = section.stream.getvalue()  # pyelftools' own bytes, not a copy
            setattr(dwarf, name, section._replace(stream=_Counted(section.stream, reads)))
    return Dwarf(dwarf, sections, reads)


def _ask_for_what_is_read(elf: Any) -> None:
    """Have pyelftools pass over what unwinds stacks, and find every section of DWARF.

    Any program may have as much of the former as its file has. Of the old style (``.zdebug_info``)
    only what becomes smaller is compressed; pyelftools expects it of all sections or of none.
    """
    section_named, decompress = elf.get_section_by_name, elf._decompress_dwarf_section
    is_of_old_style = elf.has_section(".zdebug_info")

    def named(name: str) -> Any:
        if name == ".eh_frame":
            return None
        found = section_named(name)
        if found is None and is_of_old_style and name.startswith(".z"):
            return section_named(f".{name[2:]}")
        return found

    def unpacked(section: Any) -> Any:
        return decompress(section) if section.name.startswith(".z") else section

    elf.get_section_by_name, elf._decompress_dwarf_section = named, unpacked


def _checked_size(elf: Any, path: str) -> int:
    """How many bytes the sections have when they are unpacked."""
    total, there = 0, _stored_bytes(elf.stream)
    for section in elf.iter_sections():
        if not section.name.startswith((".debug_", ".zdebug_")):
            continue
        size, stored = section.data_size, section["sh_size"]
        if section["sh_type"] == "SHT_NOBITS" and size:
            raise ValueError(f"{section.name} has {size} bytes, which are not in the file")
        if section["sh_offset"] + stored > elf.stream_len:
            raise ValueError(f"{section.name} reaches beyond the end of the file")
        if stored > _MOST_BYTES:
            raise _too_big(path, stored)
        if there is not None and stored > _MOST_UNPACKED * there + _ALWAYS:
            raise ValueError(f"{section.name} is a hole in the file")
        if section.name.startswith(".zdebug_"):
            size = _unpacked_size(section.data())
        elif section.compressed:
            _check_ratio(size, stored)
        total += size
    if total > _MOST_BYTES:
        raise _too_big(path, total)
    return total


def _stored_bytes(stream: Any) -> int | None:
    """How much room a file takes, None where that is not known.

    A file system that compresses has less of it than there are bytes, but not that much less.
    """
    try:
        blocks = os.fstat(stream.fileno()).st_blocks
    except OSError:  # of a stream in memory too
        return None
    return blocks * 512 or None


def _too_big(path: str, size: int) -> TargetError:
    return TargetError(
        f"the debug information of {path} has {size} bytes, and {_MOST_BYTES} is the most that is "
        "read",
        code="TOO_BIG",
    )


def _check_ratio(size: int, stored: int) -> None:
    if not 0 < size <= _MOST_UNPACKED * stored + _ALWAYS:
        raise ValueError(f"a section of {stored} bytes is said to have {size} when it is unpacked")


def _unpacked_size(data: bytes) -> int:
    """Of a section in the form that GNU tools had first."""
    size = int.from_bytes(data[4:12], "big")
    _check_ratio(size, len(data))
    if len(zlib.decompressobj().decompress(data[12:], size + 1)) != size:
        raise ValueError("a section is not as long as it is said to be when it is unpacked")
    return size


def check_line_header(stream: Any, offset: int, *, is_little: bool) -> None:
    """Raise ValueError where the tables of a line program (DWARF 5, 6.2.4) have no end.

    An entry of no bytes at all can be there any number of times.
    """
    header = _Header(stream, offset, is_little=is_little)
    is_64 = header.number(4) == 0xFFFFFFFF
    if is_64:
        header.number(8)
    if header.number(2) < 5:
        return
    header.skip(2 + (8 if is_64 else 4) + 5)
    header.skip(max(0, header.number(1) - 1))
    for _ in ("directories", "files"):
        forms = []
        for _ in range(header.number(1)):
            header.uleb128()
            forms.append(header.uleb128())
        count = header.uleb128()
        if count and not forms:
            raise ValueError(f"a line program has {count} files of no bytes")
        for _ in range(count):
            for form in forms:
                header.skip_form(form, is_64=is_64)


class _Header:
    """The bytes of a header, read one after another."""

    def __init__(self, stream: Any, offset: int, *, is_little: bool) -> None:
        self._stream = stream
        self._order = "little" if is_little else "big"
        stream.seek(offset)

    def skip(self, count: int) -> bytes:
        """Raises ValueError where there are fewer bytes."""
        data: bytes = self._stream.read(count)
        if len(data) < count:
            raise ValueError("a line program is cut off")
        return data

    def number(self, count: int) -> int:
        """An unsigned number of ``count`` bytes."""
        return int.from_bytes(self.skip(count), self._order)  # type: ignore[arg-type]  # a literal

    def uleb128(self) -> int:
        """An unsigned number of any length; ValueError where it has more than 64 bits."""
        value = 0
        for place in range(0, 70, 7):
            (byte,) = self.skip(1)
            value |= (byte & 0x7F) << place
            if byte < 0x80:
                return value
        raise ValueError("a number of a line program has no end")

    def skip_form(self, form: int, *, is_64: bool) -> None:
        """A value of a form that such tables have."""
        if form in _FORM_BYTES:
            self.skip(_FORM_BYTES[form])
        elif form in (_FORM_STRP, _FORM_LINE_STRP):
            self.skip(8 if is_64 else 4)
        elif form == _FORM_UDATA:
            self.uleb128()
        elif form == _FORM_BLOCK:
            self.skip(self.uleb128())
        elif form == _FORM_STRING:
            while self.skip(1) != b"\0":
                pass
        else:
            raise ValueError(f"a line program has names of a form {form:#x}")
