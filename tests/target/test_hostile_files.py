"""Files that nobody would write but to do harm: an error of ours, little work and little memory."""

from __future__ import annotations

import io
import os
import random
import shutil
import struct
import subprocess
import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bpfprobe.errors import TargetError
from bpfprobe.target.debug_link import read_debug_link
from bpfprobe.target.elf import ElfFile, InMemory
from bpfprobe.target.elf_variables import read_variable
from bpfprobe.target.lookup import read_library_cache
from bpfprobe.target.procmaps import read_mappings
from bpfprobe.target.usdt_notes import read_markers
from tests.bounded import bounded
from tests.target.test_elf import Sym, make_elf

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

needs_gcc = pytest.mark.skipif(
    shutil.which("gcc") is None or os.uname().machine != "x86_64", reason="needs gcc for x86-64"
)
CODES = (
    "", "NOT_ELF", "TRUNCATED_ELF", "USDT_NOTE", "IFUNC", "BAD_DWARF", "TOO_BIG", "NO_SOURCE_FILE",
    "NON_UNIQ_FILE", "NO_CODE_AT_LINE", "NO_DWZ_FILE", "SPLIT_DWARF",
)  # fmt: skip


def read_all(data: bytes) -> None:
    """All that is read of a program, but for its debug information."""
    image = InMemory(data)
    elf = ElfFile(image, "hostile")
    for name in elf.functions.matching("m*"):
        elf.functions.named(name)
    elf.functions.function_at(elf.text[0][0] if elf.text else 0)
    for look in (read_markers, read_debug_link, lambda *both: read_variable(*both, "stock")):
        look(elf, image)  # type: ignore[operator]  # each of another type


def read_dwarf(data: bytes) -> None:
    """All that is read of debug information."""
    from bpfprobe.model.ktype import KPointer, KStruct
    from bpfprobe.target.dwarf import DwarfFile

    image = InMemory(data)
    elf = ElfFile(image, "hostile")
    dwarf = DwarfFile(io.BytesIO(data), "hostile", 1 << 62)
    for function in elf.functions.entries:
        found = dwarf.prototype(function.address)
        for parameter in found.parameters if found else ():
            ktype = parameter.type
            if isinstance(ktype, KPointer) and isinstance(ktype.target, KStruct):
                dwarf.members(ktype.target.type_id)
    dwarf.addresses("shop.c", 13)


def code_of(read: Callable[[bytes], None], data: bytes, *, calls: int = 40) -> str:
    """The code of the refusal; at most ``calls`` thousand calls, and memory by the file's size."""
    with bounded(calls=1000 * calls + 2 * len(data), peak_bytes=(16 << 20) + 40 * len(data)):
        try:
            read(data)
        except TargetError as error:
            return error.code
    return ""


def with_section(data: bytes, kind: int, content: bytes, count: int, name: int = 0) -> bytes:
    """The file with ``count`` more sections, which all have the same content."""
    start = int.from_bytes(data[40:48], "little")
    number = int.from_bytes(data[60:62], "little")
    headers = data[start : start + 64 * number]
    place = len(data)
    one = struct.pack("<IIQQQQIIQQ", name, kind, 0, 0, place, len(content), 0, 0, 1, 0)
    tables = place + len(content)
    first = bytearray(headers[:64])
    struct.pack_into("<Q", first, 32, number + count)  # where there are 65280 or more
    head = bytearray(data)
    struct.pack_into("<Q", head, 40, tables)
    struct.pack_into("<H", head, 60, number + count if number + count < 0xFF00 else 0)
    return bytes(head) + content + bytes(first) + headers[64:] + one * count


PLAIN = make_elf([Sym("main")], [Sym("more", version=2)], versions=("V1",))


def endless_symbols() -> bytes:
    """Every symbol begins somewhere in one string of a megabyte."""
    data = make_elf([Sym("m" * 2000, size=n) for n in range(400)])
    start = int.from_bytes(data[40:48], "little")
    headers = range(start, len(data), 64)
    symbols = next(at for at in headers if data[at + 4 : at + 8] == b"\2\0\0\0")
    offset, size = struct.unpack_from("<QQ", data, symbols + 24)
    broken = bytearray(data)
    for number, at in enumerate(range(offset + 24, offset + size, 24)):
        struct.pack_into("<I", broken, at, 1 + number)
    return bytes(broken).replace(b"m\0m", b"mmm")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (with_section(PLAIN, 7, bytes(65536), 3000), ""),  # notes that lie over one another
        (with_section(PLAIN, 2, bytes(65536), 3000), ""),  # symbol tables
        (with_section(PLAIN, 1, b"x" * 40000, 66000), ""),
        (PLAIN[:60] + b"\xff\xff" + PLAIN[62:], "TRUNCATED_ELF"),
        (PLAIN[:56] + b"\xff\xff" + PLAIN[58:] + bytes(1 << 20), ""),
        (PLAIN[:56] + b"\0\x40" + PLAIN[58:] + bytes(1 << 20), "TRUNCATED_ELF"),
        (endless_symbols(), "TRUNCATED_ELF"),
    ],
    ids=["notes", "tables", "sections", "e_shnum", "e_phnum", "segments", "names"],
)  # fmt: skip
def test_numbers_that_would_multiply(data: bytes, code: str) -> None:
    assert code_of(read_all, data) == code


def note(owner_size: int, size: int, kind: int = 3) -> bytes:
    return struct.pack("<III", owner_size, size, kind) + b"stapsdt\0" + bytes(24) + b"a\0b\0c\0"


def marked(content: bytes) -> bytes:
    """A file with these notes of markers."""
    data = make_elf([Sym("main")], extra_sections=(".note.stapsdt",))
    start = int.from_bytes(data[40:48], "little")
    headers = range(len(data) - 64, start, -64)
    table = next(at for at in headers if _name_of(data, at) == b".note.stapsdt")
    changed = bytearray(data + content)
    struct.pack_into("<QQ", changed, table + 24, len(data), len(content))
    struct.pack_into("<I", changed, table + 4, 7)
    return bytes(changed)


def _name_of(data: bytes, header: int) -> bytes:
    start = int.from_bytes(data[40:48], "little")
    names = start + 64 * int.from_bytes(data[62:64], "little")
    offset = int.from_bytes(data[names + 24 : names + 32], "little")
    place = offset + int.from_bytes(data[header : header + 4], "little")
    return data[place : data.index(b"\0", place)]


@pytest.mark.parametrize(
    ("notes", "code"),
    [
        (note(8, 0xFFFFFFFF), "USDT_NOTE"),
        (note(0xFFFFFFFF, 8), "USDT_NOTE"),
        (note(0xFFFFFFFF, 0xFFFFFFFF), "USDT_NOTE"),
        (note(8, 4), "USDT_NOTE"),
        (bytes(40000), ""),  # a note in each twelve bytes
        (struct.pack("<III", 8, 0, 3) + b"stapsdt\0", "USDT_NOTE"),
        (note(8, 30)[:-3], "USDT_NOTE"),
        (note(8, 30) * 2000, "USDT_NOTE"),  # they stand where no code is
    ],
)  # fmt: skip
def test_notes(notes: bytes, code: str) -> None:
    assert code_of(read_all, marked(notes)) == code


SOURCE = """
struct url { const char *host; unsigned port : 20; struct url *next; };
struct request { long id; struct url url; int codes[3]; union { int a; short b; }; };
static int stock;
long main_loop(struct request *req, struct url url, double weight, int last)
{
    stock += last;
    return req->id + url.port;
}
int main(int argc, char **argv)
{
    struct request req = {argc};
    return main_loop(&req, req.url, 0.5, argc);
}
"""
KINDS = ["-gdwarf-3", "-gdwarf-4", "-gdwarf-5", "-gz", "-fdebug-types-section"]


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    pytest.importorskip("elftools", reason="needs pyelftools")
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "shop.c").write_text(SOURCE)
    found = []
    for kind in KINDS:
        command = ["gcc", "-g", kind, "-O1", "-o", folder / "shop", folder / "shop.c"]
        subprocess.run(command, check=True)
        found.append((folder / "shop").read_bytes())
    return found


def damaged(data: bytes, seed: int, *, from_place: int = 0) -> bytes:
    """Bytes, words and pieces of the file changed, moved and cut away."""
    chance = random.Random(seed)
    broken = bytearray(data)
    for _ in range(chance.choice([1, 1, 2, 4, 16, 64])):
        at = chance.randrange(from_place, len(broken) - 8)
        match chance.randrange(6):
            case 0:
                broken[at] = chance.randrange(256)
            case 1:
                broken[at] ^= 1 << chance.randrange(8)
            case 2:
                word = chance.choice([0, 1, 0x7F, 0x80, 0xFF, 0xFFFF, 1 << 31, (1 << 32) - 1])
                struct.pack_into("<I", broken, at, word)
            case 3:
                struct.pack_into("<Q", broken, at, chance.choice([1 << 60, (1 << 64) - 1, 1 << 40]))
            case 4:
                size = chance.randrange(1, 64)
                source = chance.randrange(len(broken) - size)
                broken[at : at + size] = broken[source : source + size]
            case _:
                size = chance.randrange(1, 256)
                broken[at : at + size] = chance.choice([b"\0", b"\xff", b"\x01"]) * size
    return bytes(broken[: chance.choice([len(broken)] * 9 + [chance.randrange(len(broken))])])


EXAMPLES = int(os.environ.get("BPFPROBE_FUZZ_EXAMPLES", "150"))


@needs_gcc
@settings(max_examples=EXAMPLES, deadline=None)
@given(seed=st.integers(0, 1 << 48))
def test_real_programs_damaged(programs: list[bytes], seed: int) -> None:
    data = programs[seed % len(programs)]
    tables = int.from_bytes(data[40:48], "little")
    broken = damaged(data, seed, from_place=tables if seed % 3 == 0 else 0)
    assert code_of(read_all, broken) in CODES


@needs_gcc
@settings(max_examples=EXAMPLES, deadline=None)
@given(seed=st.integers(0, 1 << 48))
def test_real_debug_information_damaged(programs: list[bytes], seed: int) -> None:
    data = programs[seed % len(programs)]
    broken = damaged(data, seed, from_place=0 if seed % 7 == 0 else 0x3000)
    assert code_of(read_dwarf, broken, calls=4000) in CODES


def place_of(data: bytes, name: str) -> int:
    """Where a section begins."""
    section = ElfFile(InMemory(data), "hostile").section(name)
    assert section is not None
    return section.offset


@needs_gcc
@pytest.mark.parametrize("claimed", [0, 1 << 29, 1 << 60])
def test_sections_that_unpack_to_anything(programs: list[bytes], claimed: int) -> None:
    data = bytearray(programs[KINDS.index("-gz")])
    struct.pack_into("<Q", data, place_of(bytes(data), ".debug_info") + 8, claimed)
    assert code_of(read_dwarf, bytes(data)) == "BAD_DWARF"


@needs_gcc
def test_a_section_that_unpacks_to_more_than_it_says(programs: list[bytes], tmp_path: Path) -> None:
    path, bomb = tmp_path / "p", tmp_path / "bomb"
    path.write_bytes(programs[KINDS.index("-gdwarf-4")])
    bomb.write_bytes(b"ZLIB" + struct.pack(">Q", 100) + zlib.compress(bytes(100 << 20)))
    options = ["--remove-section=.debug_str", f"--add-section=.zdebug_str={bomb}"]
    subprocess.run(
        ["objcopy", "--compress-debug-sections=zlib-gnu", path], check=True, capture_output=True
    )
    subprocess.run(["objcopy", "--rename-section", ".zdebug_str=.gone", *options, path], check=True)
    assert code_of(read_dwarf, path.read_bytes(), calls=4000) == "BAD_DWARF"


@needs_gcc
def test_a_line_program_with_more_folders_than_there_are(programs: list[bytes]) -> None:
    data = bytearray(programs[KINDS.index("-gdwarf-5")])
    formats = place_of(bytes(data), ".debug_line") + 30
    assert data[formats - 13] == 13, "the number of operations, and then their lengths"
    data[formats : formats + 11] = b"\0" + b"\xff" * 9 + b"\x01"
    assert code_of(read_dwarf, bytes(data), calls=4000) == "BAD_DWARF"


@needs_gcc
@pytest.mark.parametrize(
    ("tag", "code"), [("DW_TAG_pointer_type", "BAD_DWARF"), ("DW_TAG_member", "")]
)
def test_types_that_are_their_own(programs: list[bytes], tag: str, code: str) -> None:
    from elftools.elf.elffile import ELFFile

    data = bytearray(programs[KINDS.index("-gdwarf-4")])
    start = place_of(bytes(data), ".debug_info")
    for unit in ELFFile(io.BytesIO(bytes(data))).get_dwarf_info().iter_CUs():
        for die in unit.iter_DIEs():
            if die.tag == tag and "DW_AT_type" in die.attributes:
                place = die.offset - unit.cu_offset
                struct.pack_into("<I", data, start + die.attributes["DW_AT_type"].offset, place)
    assert code_of(read_dwarf, bytes(data), calls=4000) == code


NUMBERS = r"\A[0-9a-f]{1,30}-[0-9a-f]{1,30} rw.p [0-9a-f]{1,30} [0-9a-f]{1,20}:[0-9a-f]{1,20} "


@given(st.text(max_size=120) | st.from_regex(NUMBERS + r"[0-9]{1,40} +/\S*\Z"))
def test_any_line_of_a_process_map(line: str) -> None:
    for mapping in read_mappings([line]):
        assert mapping.path.startswith("/")
        assert 0 <= mapping.offset < 1 << 64


def test_a_library_cache_whose_names_have_no_end() -> None:
    count = 20000
    entries = struct.pack("<iIIIQ", 0x0303, 0, 0, 0, 0) * count
    cache = b"glibc-ld.so.cache1.1" + struct.pack("<I", count) + bytes(24) + entries + b"x" * 500000
    with bounded(calls=40 * count, peak_bytes=32 << 20):
        found = read_library_cache(cache, "x86_64")
        assert sum(len(name) <= 4096 and len(path) <= 4096 for name, path in found) == count
