"""Each cause for which a place of a program is refused has a text of its own, on real files."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

import bpfprobe as bp
from bpfprobe.errors import SpecError
from bpfprobe.model.span import SourceText
from bpfprobe.model.spec import UserPoint
from bpfprobe.parse.place import parse_kind_place
from bpfprobe.pipeline import describe
from bpfprobe.resolve.sites import user_site
from bpfprobe.target.live import LiveTarget

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")

SOURCE = """
__attribute__((noinline)) int work(int a) { return a * 3; }
static __attribute__((noinline)) int twin(int a) { return a + work(a); }
int other(int);
int puts(const char *), some_data = 3;
static int one(int a) { return a; }
static int (*choose(void))(int) { return one; }
int chosen(int) __attribute__((ifunc("choose")));
__asm__(".text\\n.globl bare, label\\n.type bare, @function\\n"
        "bare: nop\\nnop\\nlabel: nop\\nret\\n");
int main(int c, char **v) { return twin(c) + other(c) + chosen(c) + puts(*v) + some_data; }
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
        case "object":
            command = ["gcc", "-c", "-o", path, "-x", "c", program.with_name("o.c")]
            subprocess.run(command, check=True)
        case "debug":
            subprocess.run(["objcopy", "--only-keep-debug", program, path], check=True)
        case "core":
            path.write_bytes(content[:16] + bytes([4, 0]) + content[18:])
        case "s390x":
            path.write_bytes(b"\x7fELF\x02\x02\x01" + bytes(9) + b"\0\x02\0\x16" + bytes(44))
        case "head":
            path.write_bytes(content[:10])
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
    "s390x": ("OTHER_MACHINE", "a program for s390x"),
    "head": ("TRUNCATED_ELF", "its first 16 bytes"),
    "object": ("NOT_RUN", "has not been linked"),
    "debug": ("NOT_RUN", "a debug file: its code was left out"),
    "core": ("NOT_RUN", "the memory of a program that crashed"),
    "stripped": ("BAD_PROBE_ADDR", "is stripped"),
}
PLACES = {
    "worc": ("BAD_PROBE_ADDR", "did you mean work"),
    "twin": ("NON_UNIQ_SYMBOL", "2 functions of"),
    "work+0x1000": ("BAD_UPROBE_OFFS", "bytes long"),
    "0x10": ("BAD_UPROBE_OFFS", "its code is at"),
    "0x7fffffff": ("BAD_UPROBE_OFFS", "is not code"),
    "nowhere::f": ("BAD_PROBE_ADDR", "has no function nowhere::f"),
    "puts": ("BAD_PROBE_ADDR", "calls puts, but it is a function of a library"),
    "puts@GLIBC_2.2.5": ("BAD_PROBE_ADDR", "uprobe:LIBRARY:puts, with"),
    "some_data": ("BAD_PROBE_ADDR", "is data, not a function"),
    "label": ("BAD_PROBE_ADDR", "is a label in the code"),
    "chosen": ("IFUNC", "a chooser (IFUNC)"),
    "work+1": ("BAD_INSN_BNDRY", "is inside of "),
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
    zombie = subprocess.Popen(["true"])
    while "Z (zombie)" not in Path(f"/proc/{zombie.pid}/status").read_text():
        time.sleep(0.01)
    ended = refusal(f"{program}:work", zombie.pid)
    zombie.wait()
    assert ended.code == "NO_PROCESS"
    assert "has ended, and its parent has not asked how" in str(ended)
    other = refusal(f"{program}:work", os.getpid())
    assert other.code == "PID_NOT_MAPPED"
    assert f"process {os.getpid()} does not run code from {program}" in str(other)


def test_a_label_is_reached_by_the_place_that_is_named(program: Path) -> None:
    place = str(refusal(f"{program}:label").hint).rpartition(" ")[2]
    plan = describe([bp.probe(f"uprobe:{program}:{place}")], LiveTarget()).plan
    inside = describe([bp.probe(f"uprobe:{program}:bare+2")], LiveTarget()).plan
    assert plan.probes[0].site.offset == inside.probes[0].site.offset  # type: ignore[union-attr]
    # How long the function is nobody says, nor where its instructions begin.
    assert "no symbol with a size" in inside.probes[0].bound.notes[0]
    assert refusal(f"{program}:bare+0x10000").code == "BAD_UPROBE_OFFS"


STRANGE = [
    "with space",
    "a'b",
    'q"uote',
    "new\nline",
    "co:lon",
    "b\udcffd",
    "p(x)",
    "100%",
    "a+b",
    "*",
]


@pytest.mark.parametrize("name", STRANGE)
def test_a_path_with(name: str, program: Path, tmp_path: Path) -> None:
    path = tmp_path / name
    path.symlink_to(program)
    probes = [bp.uprobe(str(path), "work")]
    if '"' in name:
        probes.append(bp.probe(f"uprobe:{path}:work"))
    else:
        probes.append(bp.probe(f'uprobe:"{path}":work'))
        probes.append(bp.probe(f'p:event "{path}":work'))
        probes.append(bp.probe(f'uprobe:"{path}":work+3'))
    sites = [planned.site for planned in describe(probes, LiveTarget()).plan.probes]
    assert {site.path for site in sites} == {str(path)}  # type: ignore[union-attr]


def test_a_path_that_ends_at_white_space() -> None:
    with pytest.raises(SpecError) as caught:
        bp.probe("uprobe:/opt/my prog:main")
    assert 'with spaces "/opt/my prog":main' in str(caught.value)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root reaches files without a name")
def test_a_file_that_a_process_runs_and_that_is_no_longer_there(
    program: Path, tmp_path: Path
) -> None:
    """As after an upgrade, with another file at its path or none."""
    path = tmp_path / "sleeper"
    shutil.copy("/bin/sleep", path)
    with subprocess.Popen([path, "600"]) as process:
        try:
            while str(path) not in Path(f"/proc/{process.pid}/maps").read_text():
                time.sleep(0.01)  # it is its exe before it is mapped
            target = LiveTarget()
            wanted = path.stat().st_ino
            for replacement in (None, program):
                path.unlink()
                if replacement is not None:
                    shutil.copy(replacement, path)
                for name in (str(path), "sleeper", f"/proc/{process.pid}/exe"):
                    found = target.binary(name, process.pid)
                    assert Path(found.path).stat().st_ino == wanted, name
                    assert target.process_maps_binary(process.pid, found), name
                path.touch()
        finally:
            process.kill()
