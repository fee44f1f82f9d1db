"""What a uprobe needs of an ELF file: its functions, and where their bytes are in the file.

Headers and symbol tables are read with `struct` as elf(5) and <elf.h> lay them out. Every size and
offset is held against the size of the file before it is used, so that a damaged or hostile file
costs an error, never memory or time.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Protocol

from bpfprobe.errors import TargetError
from bpfprobe.model.noun import dataclass
from bpfprobe.target.elf_strings import Strings
from bpfprobe.target.function_table import FunctionEntry, FunctionTable

if TYPE_CHECKING:
    from collections.abc import Iterator

MACHINES = {
    3: "i386", 8: "mips", 20: "ppc", 21: "ppc64", 22: "s390x", 40: "arm", 62: "x86_64",
    183: "aarch64", 243: "riscv64", 258: "loongarch64",
}  # fmt: skip
"""EM_* of <elf.h> as uname(1) says them."""

_GO_SECTIONS = {
    ".go.buildinfo", ".gopclntab", ".data.rel.ro.gopclntab", ".note.go.buildid",
}  # fmt: skip
_GO_NOTE = b"Go\0\0"

_PT_LOAD, _PT_NOTE, _PF_X = 1, 4, 1
_SHT_SYMTAB, _SHT_NOBITS, _SHT_DYNSYM = 2, 8, 11
_SHT_GNU_VERDEF, _SHT_GNU_VERSYM, _SHF_COMPRESSED = 0x6FFFFFFD, 0x6FFFFFFF, 0x800
_STT_FUNC, _STT_GNU_IFUNC = 2, 10
_HIDDEN = 0x8000  # of a version: not the default one
_XINDEX = 0xFFFF
_VERDEF_BYTES = 20

_MOST_HEADERS = 65536
"""Bytes of program headers: the kernel loads no program with more."""

_MOST_SECTIONS = 1 << 17
_MOST_TABLE_BYTES = 128 << 20  # five million symbols; of browsers there is half a million
_MOST_BYTES = 256 << 20
"""What is read of a section, or of a table of symbols or versions.

A section may be as large as its file, and a sparse file costs its author nothing.
"""


class Bytes(Protocol):
    """A file, or bytes in memory. ``size`` counts bytes."""

    size: int

    def read(self, offset: int, count: int) -> bytes:
        """``count`` bytes from ``offset``, fewer where the file ends."""
        ...


class InMemory:
    """`Bytes` of a bytes object."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def read(self, offset: int, count: int) -> bytes:
        """A slice."""
        return self._data[offset : offset + count]


@dataclass(frozen=True, slots=True)
class Segment:
    """A program header. Sizes and offsets in bytes; ``size`` is what stands in the file."""

    kind: int
    flags: int
    offset: int
    address: int
    size: int


@dataclass(frozen=True, slots=True)
class Section:
    """A section header. ``link`` is the number of a section that this one refers to."""

    name: str
    kind: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    entry_size: int


class ElfFile:
    """An ELF file, read at once: ``data`` is not asked again after the constructor.

    ``text`` holds (file offset, size in bytes, virtual address) of each executable segment;
    ``is_go`` is true for a program of the Go compiler, stripped or not; ``is_stripped`` where there
    is no static symbol table, so that only what other files may call has a name. ``program`` is the
    file whose debug symbols this one holds: it was loaded, and so places come from its segments.
    Raises `TargetError`: NOT_ELF, TRUNCATED_ELF for what contradicts itself, or TOO_BIG.
    """

    def __init__(self, data: Bytes, path: str, program: ElfFile | None = None) -> None:
        self._data = data
        self.path = path
        ident = data.read(0, 16)
        if ident[:4] != b"\x7fELF":
            raise TargetError(f"{path} is not an ELF file: {_looks_like(ident)}", code="NOT_ELF")
        if len(ident) < 16 or ident[4] not in (1, 2) or ident[5] not in (1, 2):
            raise self._broken("its first 16 bytes name no class and byte order that there is")
        self.is_64 = ident[4] == 2
        self.order = "<" if ident[5] == 1 else ">"
        head = self._unpack("HHIQQQIHHHHHH" if self.is_64 else "HHIIIIIHHHHHH", 16, "ELF header")
        self._phoff, self._shoff = head[4], head[5]
        self._phentsize, self._phnum, self._shentsize, self._shnum, self._shstrndx = head[8:13]
        self.kind, number = head[:2]
        self.machine = MACHINES.get(number, f"machine {number}")
        self.segments: tuple[Segment, ...] = (
            program.segments if program else tuple(self._read_segments())
        )
        self.sections = tuple(self._read_sections())
        self.text = tuple(
            (segment.offset, segment.size, segment.address)
            for segment in self.segments
            if segment.kind == _PT_LOAD and segment.flags & _PF_X
        )
        self.is_go = self._has_go()
        self.is_stripped = all(section.kind != _SHT_SYMTAB for section in self.sections)
        self.functions = FunctionTable(self._read_functions(), path, self.text)

    def offset_of(self, address: int) -> int | None:
        """The file offset of a virtual address in executable text, or None."""
        for offset, size, start in self.text:
            if start <= address < start + size:
                return address - start + offset
        return None

    def data_offset_of(self, address: int) -> int | None:
        """The file offset of a virtual address in anything that is loaded, or None."""
        for segment in self.segments:
            if segment.kind == _PT_LOAD and 0 <= address - segment.address < segment.size:
                return address - segment.address + segment.offset
        return None

    def address_of(self, offset: int) -> int | None:
        """The virtual address of a file offset in executable text, or None."""
        for start, size, address in self.text:
            if start <= offset < start + size:
                return offset - start + address
        return None

    def _has_go(self) -> bool:
        if any(section.name in _GO_SECTIONS for section in self.sections):
            return True
        notes = (segment for segment in self.segments if segment.kind == _PT_NOTE)
        return any(_GO_NOTE in self._data.read(note.offset, min(note.size, 4096)) for note in notes)

    def _read_functions(self) -> Iterator[FunctionEntry]:
        """All functions in executable text. There is at most one table of either kind."""
        tables = {section.kind: section for section in reversed(self.sections)}
        for kind in (_SHT_SYMTAB, _SHT_DYNSYM):
            if kind in tables:
                yield from self._read_symbols(tables[kind])

    def _read_symbols(self, table: Section) -> Iterator[FunctionEntry]:
        layout = struct.Struct(self.order + ("IBBHQQ" if self.is_64 else "IIIBBH"))
        if table.entry_size not in (0, layout.size):
            raise self._broken(f"its {table.name} has entries of {table.entry_size} bytes")
        names = self._strings(self._section(table.link, f"the strings of {table.name}"))
        versions = self._versions() if table.kind == _SHT_DYNSYM else {}
        data = self._content(table)
        whole = data[: len(data) // layout.size * layout.size]
        for number, fields in enumerate(layout.iter_unpack(whole)):
            if self.is_64:
                at, info, _, section, address, size = fields
            else:
                at, address, size, info, _, section = fields
            kind = info & 0xF
            if kind not in (_STT_FUNC, _STT_GNU_IFUNC) or section == 0:
                continue
            name, mark, version = names.at(at).partition("@")
            if name and self.offset_of(address) is not None:
                version = mark + version or versions.get(number, "")
                yield FunctionEntry(name, version, address, size, kind == _STT_GNU_IFUNC)

    def _versions(self) -> dict[int, str]:
        """The version of each dynamic symbol that has one, by its number."""
        numbers = next((s for s in self.sections if s.kind == _SHT_GNU_VERSYM), None)
        names = self._version_names()
        if numbers is None or not names:
            return {}
        data = self._content(numbers)
        pairs = struct.iter_unpack(self.order + "H", data[: len(data) // 2 * 2])
        return {
            number: ("@" if word & _HIDDEN else "@@") + names[word & ~_HIDDEN]
            for number, (word,) in enumerate(pairs)
            if word & ~_HIDDEN in names
        }

    def _version_names(self) -> dict[int, str]:
        """Versions that this file defines; 1 is the file's own name and means none."""
        table = next((s for s in self.sections if s.kind == _SHT_GNU_VERDEF), None)
        if table is None:
            return {}
        data = self._content(table)
        strings = self._strings(self._section(table.link, "the names of its versions"))
        names: dict[int, str] = {}
        at, step = 0, _VERDEF_BYTES
        while step >= _VERDEF_BYTES and at + 20 <= len(data):
            _, _, number, _, _, aux, step = struct.unpack_from(self.order + "HHHHIII", data, at)
            if number > 1 and at + aux + 4 <= len(data):
                (name,) = struct.unpack_from(self.order + "I", data, at + aux)
                names[number & ~_HIDDEN] = strings.at(name)
            at += step
        return names

    def _read_segments(self) -> Iterator[Segment]:
        """Program headers; 0xffff of them or more are counted in the first section header."""
        count = self._phnum
        if count == _XINDEX and self._shoff:
            count = self._header(0).info
        expected = 56 if self.is_64 else 32
        if count and self._phentsize != expected:
            raise self._broken(f"its program headers have {self._phentsize} bytes each")
        if count * expected > _MOST_HEADERS:
            raise self._broken(f"it has {count} program headers, and the kernel loads no such file")
        self._within(self._phoff, count * expected, "its program headers")
        for number in range(count):
            at = self._phoff + number * expected
            if self.is_64:
                kind, flags, offset, address, _, size, *_ = self._unpack("IIQQQQQQ", at, "segment")
            else:
                kind, offset, address, _, size, _, flags, _ = self._unpack(
                    "IIIIIIII", at, "segment"
                )
            if kind == _PT_LOAD:
                self._within(offset, size, "a segment")
            yield Segment(kind, flags, offset, address, size)

    def _read_sections(self) -> Iterator[Section]:
        """Section headers, none where they were stripped away."""
        if not self._shoff:
            return
        first = self._header(0)
        count = self._shnum or first.size
        names_at = self._shstrndx if self._shstrndx != _XINDEX else first.link
        if self._shentsize != (64 if self.is_64 else 40):
            raise self._broken(f"its section headers have {self._shentsize} bytes each")
        self._within(self._shoff, count * self._shentsize, "its section headers")
        self._refuse_more(count, _MOST_SECTIONS, "sections")
        headers = [self._header(number) for number in range(count)]
        if names_at >= count:
            raise self._broken("the section with the names of sections is not there")
        names = self._strings(_section(headers[names_at], ""))
        for header in headers:
            yield _section(header, names.at(header.name))

    def _header(self, number: int) -> _Header:
        layout = "IIQQQQIIQQ" if self.is_64 else "IIIIIIIIII"
        size = 64 if self.is_64 else 40
        at = self._shoff + number * size
        name, kind, flags, address, offset, length, link, info, _, entry = self._unpack(
            layout, at, "section header"
        )
        return _Header(name, kind, flags, address, offset, length, link, info, entry)

    def _section(self, number: int, what: str) -> Section:
        if number >= len(self.sections):
            raise self._broken(f"{what} are in section {number}, which is not there")
        return self.sections[number]

    def section(self, name: str) -> Section | None:
        """The first section of that name."""
        return next((section for section in self.sections if section.name == name), None)

    def content(self, section: Section, data: Bytes) -> bytes:
        """The bytes of a section, out of what this file was read from."""
        if section.kind == _SHT_NOBITS:
            return b""
        what = f"its section {section.name or 'of names'}"
        if section.flags & _SHF_COMPRESSED:
            raise self._broken(f"{what} is compressed")
        self._within(section.offset, section.size, what)
        is_table = section.kind in (_SHT_SYMTAB, _SHT_DYNSYM, _SHT_GNU_VERSYM)
        most = _MOST_TABLE_BYTES if is_table else _MOST_BYTES
        self._refuse_more(section.size, most, f"bytes in {what}")
        return data.read(section.offset, section.size)

    def _content(self, section: Section) -> bytes:
        return self.content(section, self._data)

    def _strings(self, section: Section) -> Strings:
        return Strings(self._content(section), self._broken)

    def _refuse_more(self, count: int, most: int, what: str) -> None:
        if count > most:
            raise TargetError(
                f"{self.path} has {count} {what}, and at most {most} are read", code="TOO_BIG"
            )

    def _within(self, offset: int, size: int, what: str) -> None:
        if offset + size > self._data.size:
            end, have = offset + size, self._data.size
            raise self._broken(f"{what} would end at byte {end} of {have}")

    def _unpack(self, layout: str, offset: int, what: str) -> tuple[int, ...]:
        packed = struct.Struct(self.order + layout)
        data = self._data.read(offset, packed.size) if offset <= self._data.size else b""
        if len(data) < packed.size:
            raise self._broken(f"a {what} is cut off")
        return packed.unpack(data)

    def _broken(self, cause: str) -> TargetError:
        return TargetError(
            f"{self.path} is a damaged or incomplete ELF file: {cause}", code="TRUNCATED_ELF"
        )


@dataclass(frozen=True, slots=True)
class _Header:
    """A section header as it stands in the file; ``name`` is an offset."""

    name: int
    kind: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    entry: int


def _section(header: _Header, name: str) -> Section:
    return Section(
        name,
        header.kind,
        header.flags,
        header.address,
        header.offset,
        header.size,
        header.link,
        header.entry,
    )


def _looks_like(start: bytes) -> str:
    if not start:
        return "it is empty"
    if start.startswith(b"#!"):
        return "it is a script, probe its interpreter instead"
    if start.startswith(b"!<arch>"):
        return "it is a static library, probe a program that was linked with it"
    return f"it starts with {start[:4].hex(' ')}, not 7f 45 4c 46"
