"""Markers of files that a compiler made, of real ones, and of damaged ones."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bpfprobe.errors import TargetError
from bpfprobe.resolve.usdt_operand import parse_usdt_operands
from bpfprobe.target.elf import ElfFile, InMemory
from bpfprobe.target.usdt_notes import read_markers

SOURCE = Path(__file__).with_name("markers.c")
needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
needs_x86 = pytest.mark.skipif(os.uname().machine != "x86_64", reason="assembles for x86-64")


def build(folder: Path, *flags: str) -> Path:
    subprocess.run(["gcc", *flags, "-o", folder / "shop", SOURCE], check=True)
    return folder / "shop"


@needs_gcc
@needs_x86
@pytest.mark.parametrize("flags", [["-no-pie"], ["-pie"], ["-shared", "-fPIC"], ["-s"]], ids=str)
def test_markers_of_a_program(flags: list[str], tmp_path: Path) -> None:
    path = build(tmp_path, *flags)
    data = InMemory(path.read_bytes())
    closed, sold = read_markers(ElfFile(data, str(path)), data)
    assert (closed.provider, closed.name, closed.semaphore) == ("shop", "closed", 0)
    assert [place.arguments for place in closed.locations] == [""]
    assert (sold.provider, sold.name) == ("shop", "sold")
    assert [place.arguments for place in sold.locations] == ["-4@%eax 8@16(%rsp)", "-4@$5 8@%rbx"]
    for place in (*sold.locations, *closed.locations):
        assert data.read(place.offset, 1) == b"\x90"
    assert sold.semaphore
    assert data.read(sold.semaphore_offset, 2) == b"\0\0"


@pytest.mark.parametrize("name", ["libstdc++.so.6", "python3", "postgres"])
def test_readelf_sees_the_same(name: str) -> None:
    found = [
        *Path("/usr/lib/x86_64-linux-gnu").glob(name),
        *Path("/usr/bin").glob(name),
        *Path("/usr/lib/postgresql").glob(f"*/bin/{name}"),
    ]
    if not found or shutil.which("readelf") is None:
        pytest.skip(f"needs {name} and readelf (Debian: binutils)")
    data = InMemory(found[0].read_bytes())
    elf = ElfFile(data, str(found[0]))
    text = subprocess.run(
        ["readelf", "-n", found[0]], capture_output=True, text=True, check=True
    ).stdout
    pattern = (
        r"Provider: (.*)\n +Name: (.*)\n +Location: (\w+), Base: \w+, Semaphore: (\w+)\n"
        r" +Arguments: ?(.*)"
    )
    theirs = {
        (provider, name, int(address, 16), int(semaphore, 16), arguments.strip())
        for provider, name, address, semaphore, arguments in re.findall(pattern, text)
    }
    markers = read_markers(elf, data)
    assert theirs == {
        (marker.provider, marker.name, place.address, marker.semaphore, place.arguments)
        for marker in markers
        for place in marker.locations
    }
    for marker in markers:
        for place in marker.locations:
            count = len(place.arguments.split())
            assert len(parse_usdt_operands(place.arguments, elf.machine)) == count


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    if shutil.which("gcc") is None or os.uname().machine != "x86_64":
        pytest.skip("needs gcc for x86-64")
    return build(tmp_path_factory.mktemp("shop")).read_bytes()


@settings(max_examples=300)
@given(st.data())
def test_a_damaged_file_costs_an_error_at_most(program: bytes, data: st.DataObject) -> None:
    broken = bytearray(program)
    at_notes = program.index(b"stapsdt\0") - 12
    near = st.integers(at_notes, at_notes + 250)
    anywhere = st.integers(0, len(program) - 1)
    for _ in range(data.draw(st.integers(1, 4))):
        broken[data.draw(near | anywhere)] = data.draw(st.integers(0, 255))
    image = InMemory(bytes(broken[: data.draw(st.sampled_from([len(broken), at_notes + 40]))]))
    assert outcome(image) in ("USDT_NOTE", "TRUNCATED_ELF", "NOT_ELF", 0, 1, 2, 3)


def outcome(image: InMemory) -> str | int:
    """The code of the refusal, or how many markers there are."""
    try:
        return len(read_markers(ElfFile(image, "damaged"), image))
    except TargetError as error:
        return error.code
