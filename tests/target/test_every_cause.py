"""Each cause for which a place of a program is refused has a text of its own, on real files."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bpfprobe.errors import SpecError
from bpfprobe.model.span import SourceText
from bpfprobe.model.spec import UserPoint
from bpfprobe.parse.place import parse_kind_place
from bpfprobe.resolve.sites import user_site
from bpfprobe.target.live import LiveTarget

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")

SOURCE = """
__attribute__((noinline)) int work(int a) { return a * 3; }
static __attribute__((noinline)) int twin(int a) { return a + work(a); }
int other(int);
int main(int c, char **v) { return twin(c) + other(c); }
"""
OTHER = """
static __attribute__((noinline)) int twin(int a) { __asm__ volatile(""); return a - 1; }
int other(int a) { return twin(a); }
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("causes")
    (folder / "p.c").write_text(SOURCE)
    (folder / "o.c").write_text(OTHER)
    sources = [folder / "p.c", folder / "o.c"]
    subprocess.run(["gcc", "-O1", "-fno-inline", "-o", folder / "p", *sources], check=True)
    return folder / "p"


def machine_changed(content: bytes, machine: int, word: int = 2) -> bytes:
    return content[:4] + bytes([word]) + content[5:18] + bytes([machine, 0]) + content[20:]


def make(cause: str, path: Path, program: Path) -> None:
    content = program.read_bytes()
    match cause:
        case "directory":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "socket":
            with socket.socket(socket.AF_UNIX) as unix:
                unix.bind(str(path))
        case "loop":
            path.symlink_to(path)
        case "script":
            path.write_text("#!/bin/sh\n")
        case "text":
            path.write_text("hello, world, this is no program")
        case "archive":
            path.write_bytes(b"!<arch>\n")
        case "empty":
            path.write_bytes(b"")
        case "truncated":
            path.write_bytes(content[: len(content) // 2])
        case "arm64":
            path.write_bytes(machine_changed(content, 183))
        case "stripped":
            path.write_bytes(content)
            subprocess.run(["strip", path], check=True)


FILES = {
    "missing": ("FILE_NOT_FOUND", "there is no file"),
    "directory": ("NO_REGULAR_FILE", "a directory"),
    "fifo": ("NO_REGULAR_FILE", "a FIFO"),
    "device": ("NO_REGULAR_FILE", "a character device"),
    "socket": ("NO_REGULAR_FILE", "a socket"),
    "loop": ("LINK_LOOP", "a loop of symbolic links"),
    "script": ("NOT_ELF", "probe its interpreter"),
    "text": ("NOT_ELF", "starts with 68 65 6c 6c"),
    "archive": ("NOT_ELF", "a static library"),
    "empty": ("NOT_ELF", "it is empty"),
    "truncated": ("TRUNCATED_ELF", "would end at byte"),
    "arm64": ("OTHER_MACHINE", "a program for aarch64"),
    "stripped": ("BAD_PROBE_ADDR", "is stripped"),
}
PLACES = {
    "worc": ("BAD_PROBE_ADDR", "did you mean work"),
    "twin": ("NON_UNIQ_SYMBOL", "2 functions of"),
    "work+0x1000": ("BAD_UPROBE_OFFS", "bytes long"),
    "0x10": ("BAD_UPROBE_OFFS", "its code is at"),
    "0x7fffffff": ("BAD_UPROBE_OFFS", "is not code"),
    "nowhere::f": ("BAD_PROBE_ADDR", "has no function nowhere::f"),
}


def refusal(place: str, pid: int | None = None) -> SpecError:
    span = SourceText(place).whole()
    point = parse_kind_place("uprobe", span)
    assert isinstance(point, UserPoint)
    with pytest.raises(SpecError) as caught:
        user_site(
            UserPoint(point.path, point.symbol, point.plus, offset=point.offset, pid=pid),
            span,
            LiveTarget(),
        )
    assert "^" in str(caught.value)
    return caught.value


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="builds for another machine than arm64")
@pytest.mark.parametrize("cause", FILES)
def test_a_file(cause: str, program: Path, tmp_path: Path) -> None:
    path = tmp_path / "x"
    make(cause, path, program)
    code, said = FILES[cause]
    found = refusal(f"{path}:work")
    assert (found.code, said in str(found)) == (code, True), str(found)


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="builds for another machine than i386")
def test_a_program_of_32_bits(program: Path, tmp_path: Path) -> None:
    head = b"\x7fELF\x01\x01\x01" + bytes(9) + bytes([2, 0, 3, 0, 1]) + bytes(31)
    (tmp_path / "x").write_bytes(head)
    found = refusal(f"{tmp_path}/x:work")
    assert found.code == "OTHER_MACHINE"
    assert "a program for i386, this machine is x86_64" in str(found)


@pytest.mark.parametrize("place", PLACES)
def test_a_place(place: str, program: Path) -> None:
    code, said = PLACES[place]
    found = refusal(f"{program}:{place}")
    assert (found.code, said in str(found)) == (code, True), str(found)


def test_a_process(program: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    missing = refusal(f"{program}:work", gone.pid)
    assert missing.code == "NO_PROCESS"
    other = refusal(f"{program}:work", os.getpid())
    assert other.code == "PID_NOT_MAPPED"
    assert f"process {os.getpid()} does not run code from {program}" in str(other)
