"""A file of a few kilobytes may say that it has gigabytes: that costs neither time nor memory."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from bpfprobe.cli.listing import list_points
from bpfprobe.errors import BpfprobeError
from bpfprobe.pipeline import describe, spec_of
from bpfprobe.probes import probe
from bpfprobe.target.live import LiveTarget
from tests.bounded import bounded

PROGRAM = """
#include "marker.h"
struct item { int n; };
int walk(struct item *it) { return it->n; }
int main(void)
{
    struct item item = { 1 };
    MARKER("shop", "sold", "0", "-4@%%eax");
    return walk(&item);
}
"""
SECTIONS = (
    ".eh_frame", ".eh_frame_hdr", ".symtab", ".strtab", ".dynsym", ".dynstr", ".gnu.version",
    ".debug_info", ".debug_abbrev", ".debug_str", ".debug_line", ".debug_aranges",
    ".note.stapsdt", ".note.gnu.build-id", ".shstrtab",
)  # fmt: skip
APPARENT = 3 << 30
SHF_COMPRESSED = 0x800


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    if shutil.which("gcc") is None or os.uname().machine != "x86_64":
        pytest.skip("needs gcc for x86-64")
    folder = tmp_path_factory.mktemp("sparse")
    (folder / "x.c").write_text(PROGRAM)
    tests = Path(__file__).parents[1]
    command = ["gcc", "-g", "-O1", "-fno-inline", f"-I{tests}", "x.c", "-o", "x"]
    subprocess.run(command, check=True, cwd=folder)
    return (folder / "x").read_bytes()


def with_section(program: bytes, path: Path, name: str, size: int, flags: int | None) -> str:
    """The program with a section at its end, which is said to have so many bytes."""
    data = bytearray(program)
    (headers,) = struct.unpack_from("<Q", data, 40)
    count, names = struct.unpack_from("<HH", data, 60)
    (strings,) = struct.unpack_from("<Q", data, headers + 64 * names + 24)
    end = -(-len(data) // 4096) * 4096
    for header in range(headers, headers + 64 * count, 64):
        at = strings + struct.unpack_from("<I", data, header)[0]
        if data[at : data.index(b"\0", at)].decode() == name:
            start, before = struct.unpack_from("<QQ", data, header + 24)
            content = data[start : start + before]
            struct.pack_into("<QQ", data, header + 24, end, size)
            if flags is not None:
                struct.pack_into("<Q", data, header + 8, flags)
            break
    else:
        raise AssertionError(f"there is no section {name}")
    with path.open("wb") as file:
        file.write(data)
        file.seek(end)
        file.write(content)
        file.truncate(end + min(size, APPARENT))
    path.chmod(0o755)
    return str(path)


def read_all(path: str) -> set[str]:
    """List, types and a plan, as the commands do; the codes of what is refused."""
    codes = set()

    def listed() -> None:
        list(list_points(f"uprobe:{path}:*", LiveTarget(), 1))

    def marked() -> None:
        list(list_points(f"usdt:{path}:*", LiveTarget(), 2))

    def described() -> None:
        describe([spec_of(probe(f"uprobe:{path}:walk x=it->n"))], LiveTarget())

    for ask in (listed, marked, described):
        try:
            ask()
        except BpfprobeError as error:
            codes.add(error.code)
    return codes


REFUSALS = {"TOO_BIG", "TRUNCATED_ELF", "BAD_DWARF", "USDT_NOTE", "BAD_PROBE_ADDR", "NOTHING_FITS"}


@pytest.mark.parametrize("size", [(1 << 30) - (1 << 20), APPARENT, 1 << 46], ids=hex)
@pytest.mark.parametrize("name", SECTIONS)
def test_a_sparse_section(program: bytes, tmp_path: Path, name: str, size: int) -> None:
    path = with_section(program, tmp_path / "x", name, size, None)
    with bounded(calls=3_000_000, peak_bytes=300 << 20):
        codes = read_all(path)
    assert codes <= REFUSALS


@pytest.mark.parametrize("size", [24, 1 << 30, 1 << 46])
@pytest.mark.parametrize("name", [".debug_info", ".debug_str", ".symtab", ".strtab"])
def test_a_section_that_is_said_to_be_compressed(
    program: bytes, tmp_path: Path, name: str, size: int
) -> None:
    path = with_section(program, tmp_path / "x", name, size, SHF_COMPRESSED)
    with bounded(calls=3_000_000, peak_bytes=300 << 20):
        codes = read_all(path)
    assert codes
    assert codes <= REFUSALS


def test_more_section_headers_than_a_program_has(program: bytes, tmp_path: Path) -> None:
    data = bytearray(program)
    end = -(-len(data) // 4096) * 4096
    (headers,) = struct.unpack_from("<Q", data, 40)
    first = bytearray(data[headers : headers + 64])
    struct.pack_into("<Q", first, 32, APPARENT // 64)  # the count, where the header has 0
    struct.pack_into("<Q", data, 40, end)
    struct.pack_into("<H", data, 60, 0)
    path = tmp_path / "x"
    with path.open("wb") as file:
        file.write(data)
        file.seek(end)
        file.write(first)
        file.truncate(end + APPARENT)
    path.chmod(0o755)
    with bounded(calls=3_000_000, peak_bytes=64 << 20):
        assert read_all(str(path)) == {"TOO_BIG"}


def test_a_note_beyond_every_file(program: bytes, tmp_path: Path) -> None:
    data = bytearray(program)
    (segments,) = struct.unpack_from("<Q", data, 32)
    (count,) = struct.unpack_from("<H", data, 56)
    for at in range(segments, segments + 56 * count, 56):
        if struct.unpack_from("<I", data, at) == (4,):  # PT_NOTE
            struct.pack_into("<Q", data, at + 8, (1 << 63) + 5)
    path = tmp_path / "x"
    path.write_bytes(data)
    path.chmod(0o755)
    assert read_all(str(path)) <= REFUSALS
