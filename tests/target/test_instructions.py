"""Where instructions begin, against what objdump(1) says of the same file."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bpfprobe.errors import TargetError
from bpfprobe.model.machine import BinarySymbol, FileOffset, Instruction, VirtualAddress
from bpfprobe.target.elf import ElfFile, InMemory
from bpfprobe.target.frames import frame_at
from bpfprobe.target.instructions import instruction_at
from bpfprobe.target.live import LiveTarget

if TYPE_CHECKING:
    from pathlib import Path

    from bpfprobe.model.machine import Binary

pytestmark = [
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="compares x86-64 instructions"),
    pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc"),
    pytest.mark.skipif(shutil.which("objdump") is None, reason="needs binutils"),
]

SOURCE = """
#include <stdio.h>
static __attribute__((noinline)) double half(double d) { return d / 2; }
__attribute__((noinline)) long choose(long n, const char *s, long m)
{
    switch (n) {
    case 1: return puts(s);
    case 2: return half(n) > 3;
    case 3: return __atomic_add_fetch(&n, 5, __ATOMIC_SEQ_CST);
    case 4: return m / 7 ^ 0x123456789abcdL;
    case 5: return n << 3;
    default: return -1;
    }
}
int main(int argc, char **argv) { return choose(argc, argv[0], argc + 3L); }
"""
_LINE = re.compile(r"\s*([0-9a-f]+):\t((?:[0-9a-f]{2} )+)")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("instructions")
    (folder / "p.c").write_text(SOURCE)
    subprocess.run(["gcc", "-O2", "-o", folder / "p", folder / "p.c"], check=True)
    return folder / "p"


def starts(program: Path) -> dict[int, int]:
    """By objdump: the sizes of the instructions of the three functions, by address."""
    found = {}
    for name in ("half", "choose", "main"):
        text = subprocess.run(
            ["objdump", "-d", "-w", f"--disassemble={name}", program],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        for line in text.splitlines():
            if fields := _LINE.match(line):
                found[int(fields[1], 16)] = len(fields[2].split())
    assert len(found) > 30
    return found


def offset_of(binary: Binary, address: int) -> FileOffset:
    return next(
        FileOffset(offset + address - start)
        for offset, size, start in binary.text
        if start <= address < start + size
    )


@pytest.mark.parametrize("stripped", [False, True])
def test_every_byte_of_three_functions(stripped: bool, program: Path, tmp_path: Path) -> None:
    path = program
    if stripped:
        path = tmp_path / "stripped"
        subprocess.run(["strip", "-o", path, program], check=True)
    target = LiveTarget()
    binary = target.binary(str(path))
    for address, size in starts(program).items():
        start = offset_of(binary, address)
        for inside in range(size):
            found = target.instruction_at(binary, FileOffset(start + inside))
            assert (found.start, found.unknown) == (start, ""), hex(address + inside)
            assert inside == 0 or found.size == size
            assert found.encoding


def test_text_and_bytes(program: Path) -> None:
    target = LiveTarget()
    binary = target.binary(str(program))
    # A number of eight bytes is moved to a register by an instruction of ten.
    whole = [address for address, size in starts(program).items() if size == 10]
    texts = {
        target.instruction_at(binary, FileOffset(offset_of(binary, address) + 9)).text: address
        for address in whole
    }
    (text,) = (text for text in texts if text.endswith(", 0x123456789abcd"))
    assert text.startswith("movabs r")
    start = offset_of(binary, texts[text])
    found = target.instruction_at(binary, FileOffset(start + 1))
    assert found.encoding.endswith(" cd ab 89 67 45 23 01 00")
    assert len(found.encoding.split()) == 10
    only = target.instruction_at(binary, start, is_start=True)
    assert only.start == start
    assert only.encoding.startswith(found.encoding)
    assert (only.size, only.text) == (0, "")


def test_outside_of_every_function(program: Path) -> None:
    target = LiveTarget()
    binary = target.binary(str(program))
    ends = {s.address + s.size for s in target.binary_symbols(binary, "main")}
    found = target.instruction_at(binary, FileOffset(offset_of(binary, *ends) + 2))
    assert "which function it is in" in found.unknown


def test_without_capstone(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "capstone", None)
    target = LiveTarget()
    binary = target.binary(str(program))
    (main,) = target.binary_symbols(binary, "main")
    found = target.instruction_at(binary, FileOffset(main.offset + 1))
    assert "bpfprobe[disassembly]" in found.unknown
    assert "python3-capstone" in found.unknown
    assert not target.instruction_at(binary, main.offset).unknown


def test_what_capstone_does_not_know() -> None:
    code = b"\x90" * 7 + b"\x06" + b"\x90" * 8  # push es, which 64-bit programs do not have
    elf, function = one_function(code, "x86_64")
    assert (
        "no instruction at 0x407"
        in instruction_at(elf, InMemory(code), function, FileOffset(9)).unknown
    )
    assert instruction_at(elf, InMemory(code), function, FileOffset(5)).start == 5


def test_a_function_of_many_windows() -> None:
    code = b"\x48\xb8" + b"\x90" * 8
    elf, function = one_function(code * 1000, "x86_64")
    data = InMemory(code * 1000)
    for place in (4096, 9000, 9001, 9009, 9999):
        assert instruction_at(elf, data, function, FileOffset(place)).start == place // 10 * 10
    far = one_function(b"\x90" * (2 << 20), "x86_64")
    found = instruction_at(far[0], InMemory(b""), far[1], FileOffset(3 << 19))
    assert "1572864 bytes before" in found.unknown


def test_arm64_counts_by_four() -> None:
    elf, function = one_function(bytes(64), "aarch64")
    found = instruction_at(elf, InMemory(bytes(64)), function, FileOffset(14))
    assert found == Instruction(FileOffset(12), 4, encoding="00 00 00 00")


def one_function(code: bytes, machine: str) -> tuple[ElfFile, BinarySymbol]:
    """A file whose only segment, at address 0x400, is one function."""
    head = b"\x7fELF\x02\x01\x01" + bytes(9) + bytes([2, 0, 62, 0, 1]) + bytes(43)
    elf = ElfFile(InMemory(head), "p")
    elf.machine, elf.text = machine, ((0, len(code), 0x400),)
    return elf, BinarySymbol("f", VirtualAddress(0x400), FileOffset(0), len(code))


def test_a_damaged_table_of_frames(program: Path) -> None:
    content = program.read_bytes()
    elf = ElfFile(InMemory(content), "p")
    (segment,) = (segment for segment in elf.segments if segment.kind == 0x6474E550)
    address = next(iter(starts(program)))
    whole = frame_at(elf, InMemory(content), address)
    assert whole is not None
    assert whole[0] <= address < whole[0] + whole[1]
    assert frame_at(elf, InMemory(content), 0) is None
    for place, byte in [(0, 2), (3, 0x1B), (8, 0), (11, 0xFF)]:
        at = segment.offset + place
        damaged = content[:at] + bytes([byte]) + content[at + 1 :]
        assert frame_at(elf, InMemory(damaged), address) is None, place
    elf.segments = (replace(segment, size=8),)
    assert frame_at(elf, InMemory(content), address) is None
    elf.segments = ()
    assert frame_at(elf, InMemory(content), address) is None


@settings(max_examples=200)
@given(st.data())
def test_a_program_with_other_bytes_costs_an_error_at_most(
    program: Path, data: st.DataObject
) -> None:
    content = bytearray(program.read_bytes())
    whole = ElfFile(InMemory(bytes(content)), "p")
    table = next(part for part in whole.segments if part.kind == 0x6474E550)
    frames = table.offset + table.size + 0x100  # .eh_frame follows
    places = st.integers(table.offset, frames) | st.integers(0, 0x400)
    for at, byte in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), max_size=20)):
        content[at] = byte
    start, size, _ = whole.text[0]
    offset = FileOffset(data.draw(st.integers(start, start + size - 1)))
    damaged = InMemory(bytes(content))
    try:
        elf = ElfFile(damaged, "p")
    except TargetError:
        return
    found = instruction_at(elf, damaged, elf.functions.function_at(offset), offset)
    assert found.unknown or found.start <= offset < found.start + max(found.size, 1)
