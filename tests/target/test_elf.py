from __future__ import annotations

import struct
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bpfprobe.errors import TargetError
from bpfprobe.target.elf import ElfFile, InMemory

FUNC, IFUNC, OBJECT = 2, 10, 1
TEXT_OFFSET, TEXT_SIZE, TEXT_ADDRESS = 0x1000, 0x200, 0x401000


@dataclass(frozen=True)
class Sym:
    name: str
    address: int = TEXT_ADDRESS
    kind: int = FUNC
    section: int = 1
    size: int = 0x10
    version: int = 0


def make_elf(
    static: list[Sym] = [],  # noqa: B006  # never changed
    dynamic: list[Sym] = [],  # noqa: B006
    machine: int = 62,
    extra_sections: tuple[str, ...] = (),
    versions: tuple[str, ...] = (),
) -> bytes:
    """A 64-bit ELF with one executable segment, symbol tables, and definitions of versions."""
    names = b"\0"

    def named(text: str) -> int:
        nonlocal names
        at = len(names)
        names += text.encode() + b"\0"
        return at

    def table(symbols: list[Sym]) -> tuple[bytes, bytes]:
        strings, entries = b"\0", bytes(24)
        for symbol in symbols:
            entries += struct.pack(
                "<IBBHQQ", len(strings), 1 << 4 | symbol.kind, 0, symbol.section,
                symbol.address, symbol.size,
            )  # fmt: skip
            strings += symbol.name.encode() + b"\0"
        return entries, strings

    symtab, strtab = table(static)
    dynsym, dynstr = table(dynamic)
    versym = struct.pack(f"<{1 + len(dynamic)}H", 0, *(s.version for s in dynamic))
    verdef, verstr = b"", b"\0"
    for number, version in enumerate(versions, start=2):
        last = number - 1 == len(versions)
        verdef += struct.pack("<HHHHIII", 1, 0, number, 1, 0, 20, 0 if last else 28)
        verdef += struct.pack("<II", len(verstr), 0)
        verstr += version.encode() + b"\0"

    wanted: list[tuple[str, int, bytes, int, int]] = [
        (".symtab", 2, symtab, 2, 24),
        (".strtab", 3, strtab, 0, 0),
        (".dynsym", 11, dynsym, 4, 24),
        (".dynstr", 3, dynstr, 0, 0),
        (".gnu.version", 0x6FFFFFFF, versym, 3, 2),
        (".gnu.version_d", 0x6FFFFFFD, verdef, 7, 0),
        (".verstr", 3, verstr, 0, 0),
        *((name, 1, b"\0", 0, 0) for name in extra_sections),
    ]
    body, headers = b"", bytes(64)
    start = TEXT_OFFSET + TEXT_SIZE
    for name, kind, content, link, entry in wanted:
        headers += struct.pack(
            "<IIQQQQIIQQ", named(name), kind, 0, 0, start + len(body), len(content), link, 0, 1,
            entry,
        )  # fmt: skip
        body += content
    headers += struct.pack(
        "<IIQQQQIIQQ", named(".shstrtab"), 3, 0, 0, start + len(body), len(names), 0, 0, 1, 0
    )
    body += names
    count = len(headers) // 64
    head = b"\x7fELF\x02\x01\x01" + bytes(9)
    head += struct.pack(
        "<HHIQQQIHHHHHH", 2, machine, 1, 0, 64, start + len(body), 0, 64, 56, 1, 64, count,
        count - 1,
    )  # fmt: skip
    load = struct.pack(
        "<IIQQQQQQ", 1, 5, TEXT_OFFSET, TEXT_ADDRESS, TEXT_ADDRESS, TEXT_SIZE, TEXT_SIZE, 0x1000
    )
    return (head + load).ljust(start, b"\0") + body + headers


def read(data: bytes) -> ElfFile:
    return ElfFile(InMemory(data), "/bin/x")


def test_static_and_dynamic_functions() -> None:
    elf = read(
        make_elf(
            [Sym("main", TEXT_ADDRESS + 0x10), Sym("table", kind=OBJECT), Sym("far", 0x500000)],
            [Sym("exported", TEXT_ADDRESS + 0x20), Sym("imported", 0, section=0)],
        )
    )
    assert elf.functions.matching("*") == ("exported", "main")
    (main,) = elf.functions.named("main")
    assert (main.address, main.offset, main.size) == (TEXT_ADDRESS + 0x10, 0x1010, 0x10)
    assert elf.functions.named("table") == ()
    assert elf.functions.similar("mian") == ("main",)
    assert elf.machine == "x86_64"
    assert elf.text == ((TEXT_OFFSET, TEXT_SIZE, TEXT_ADDRESS),)
    assert not elf.is_stripped


def test_one_function_in_both_tables_is_one() -> None:
    elf = read(make_elf([Sym("f")], [Sym("f")]))
    assert len(elf.functions.named("f")) == 1
    two = read(make_elf([Sym("f"), Sym("f", TEXT_ADDRESS + 8)]))
    assert [symbol.offset for symbol in two.functions.named("f")] == [0x1000, 0x1008]


def test_versions() -> None:
    old, new = TEXT_ADDRESS + 0x30, TEXT_ADDRESS + 0x40
    elf = read(
        make_elf(
            dynamic=[Sym("f", old, version=0x8002), Sym("f", new, version=3), Sym("g", old)],
            versions=("V1", "V2"),
        )
    )
    assert [symbol.address for symbol in elf.functions.named("f")] == [new]
    assert [symbol.address for symbol in elf.functions.named("f@V1")] == [old]
    assert [symbol.address for symbol in elf.functions.named("f@@V2")] == [new]
    assert [symbol.address for symbol in elf.functions.named("f@V2")] == [new]
    assert [symbol.address for symbol in elf.functions.named("f@@V1")] == [old]
    assert elf.functions.named("f@V3") == ()
    assert elf.functions.similar("f@V3") == ("f@@V2", "f@V1")
    static = read(make_elf([Sym("f@@V2", new), Sym("f@V1", old)]))
    assert [symbol.address for symbol in static.functions.named("f")] == [new]
    assert static.functions.matching("*") == ("f",)


def test_a_chooser_is_no_function() -> None:
    elf = read(make_elf(dynamic=[Sym("memcpy", kind=IFUNC)]))
    with pytest.raises(TargetError, match="IFUNC") as caught:
        elf.functions.named("memcpy")
    assert caught.value.code == "IFUNC"
    assert elf.functions.matching("*") == ()
    symbols = [Sym("memcpy", version=0x8002), Sym("memcpy", kind=IFUNC, version=3)]
    versions = read(make_elf(dynamic=symbols, versions=("V1", "V2")))
    assert versions.functions.matching("*") == ()
    assert len(versions.functions.named("memcpy@V1")) == 1


def test_addresses_and_offsets_are_not_the_same_thing() -> None:
    elf = read(make_elf())
    assert elf.offset_of(TEXT_ADDRESS + 5) == TEXT_OFFSET + 5
    assert elf.address_of(TEXT_OFFSET + 5) == TEXT_ADDRESS + 5
    assert elf.offset_of(TEXT_ADDRESS + TEXT_SIZE) is None
    assert elf.address_of(TEXT_ADDRESS) is None


@pytest.mark.parametrize("section", [".go.buildinfo", ".gopclntab", ".note.go.buildid"])
def test_go_is_noticed(section: str) -> None:
    assert read(make_elf(extra_sections=(section,))).is_go
    assert not read(make_elf()).is_go


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b"\x7fE", "starts with"),
        (b"#!/bin/sh\n", "script"),
        (b"!<arch>\n", "static library"),
        (bytes(100), "starts with 00 00 00 00"),
    ],
)
def test_what_is_no_elf(data: bytes, said: str) -> None:
    with pytest.raises(TargetError, match=said) as caught:
        read(data)
    assert caught.value.code == "NOT_ELF"


def patched(offset: int, layout: str, value: int) -> bytes:
    data = bytearray(make_elf([Sym("main")]))
    struct.pack_into(layout, data, offset, value)
    return bytes(data)


@pytest.mark.parametrize(
    "data",
    [
        make_elf()[:20],
        make_elf()[:100],
        make_elf([Sym("main")])[:-10],
        b"\x7fELF\x03\x01" + bytes(90),
        patched(0x28, "<Q", 1 << 60),  # e_shoff
        patched(0x20, "<Q", 1 << 60),  # e_phoff
        patched(0x36, "<H", 7),  # e_phentsize
        patched(0x3A, "<H", 7),  # e_shentsize
        patched(0x3E, "<H", 999),  # e_shstrndx
        patched(0x3C, "<H", 65000),  # e_shnum
        patched(64 + 32, "<Q", 1 << 50),  # p_filesz
    ],
)
def test_damaged_headers(data: bytes) -> None:
    with pytest.raises(TargetError) as caught:
        read(data)
    assert caught.value.code == "TRUNCATED_ELF"


def test_stripped_section_headers_leave_the_segments() -> None:
    elf = read(patched(0x28, "<Q", 0))
    assert elf.text == ((TEXT_OFFSET, TEXT_SIZE, TEXT_ADDRESS),)
    assert elf.functions.matching("*") == ()


SAMPLE = make_elf(
    [Sym("main"), Sym("f@@V2")],
    [Sym("f", version=0x8002), Sym("memcpy", kind=IFUNC)],
    extra_sections=(".go.buildinfo",),
    versions=("V1", "V2"),
)
INTERESTING = [*range(0x78), *range(TEXT_OFFSET + TEXT_SIZE, len(SAMPLE))]


@settings(max_examples=300, deadline=2000)
@given(
    st.lists(st.tuples(st.sampled_from(INTERESTING), st.integers(0, 255)), max_size=12),
    st.one_of(st.none(), st.integers(0, len(SAMPLE))),
)
def test_damage_costs_an_error_and_no_more(
    changes: list[tuple[int, int]], length: int | None
) -> None:
    data = bytearray(SAMPLE)
    for offset, value in changes:
        data[offset] = value
    code = ""
    try:
        elf = read(bytes(data[:length]))
        for name in elf.functions.matching("*"):
            elf.functions.named(name)
    except TargetError as error:
        code = error.code
    assert code in ("", "NOT_ELF", "TRUNCATED_ELF", "IFUNC")
