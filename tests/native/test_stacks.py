"""Stacks of programs that have ended before their events are read."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import bpfprobe as bp
from tests.native.programs import needs_uprobes

pytestmark = [
    *needs_uprobes,
    pytest.mark.skipif(shutil.which("objcopy") is None, reason="needs binutils"),
]

TRACE = [sys.executable, "-m", "bpfprobe.cli.main", "trace"]
ROOT = Path(__file__).parents[2]

# relay() is static in the library, so that only its debug file has the name.
LIBRARY = """
static __attribute__((noinline)) void relay(void (*next)(int), int n)
{
    next(n);
    __asm__ volatile("");
}
void carry(void (*next)(int), int n) { relay(next, n); __asm__ volatile(""); }
"""
PROGRAM = r"""
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#define KEEP __attribute__((noinline, noipa))
void carry(void (*next)(int), int n);
KEEP void leaf(int n) { __asm__ volatile("" :: "r"(n)); }
KEEP void last(int n) { leaf(n); __asm__ volatile(""); }
int main(int argc, char **argv)
{
    /* push %rbp; mov %rsp,%rbp; mov %rdi,%rax; mov %esi,%edi; call *%rax; pop %rbp; ret */
    static const char code[] = "\x55\x48\x89\xe5\x48\x89\xf8\x89\xf7\xff\xd0\x5d\xc3";
    char *made = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(made, code, sizeof(code));
    if (argc > 1 && *argv[1] == 'g')
        unlink(argv[0]);
    for (int n = 0; n < 23; n++)
        carry(last, n);
    ((void (*)(void (*)(int), int))made)(last, 23);
    if (argc > 2 && fork() == 0) { /* it never executes anything */
        carry(last, 24);
        _exit(0);
    }
    wait(0);
    return argc > 3 ? pause() : 0;
}
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A program with a stripped library, whose debug symbols are in another file."""
    library, debug = tmp_path / "libcarry.so", tmp_path / "libcarry.so.debug"
    (tmp_path / "carry.c").write_text(LIBRARY)
    (tmp_path / "short.c").write_text(PROGRAM)
    frames = ["-O1", "-fno-omit-frame-pointer", "-fno-optimize-sibling-calls"]
    commands: list[list[Any]] = [
        ["gcc", *frames, "-fPIC", "-shared", "-o", library, tmp_path / "carry.c"],
        ["gcc", *frames, "-o", tmp_path / "short", tmp_path / "short.c", library],
        ["objcopy", "--only-keep-debug", library, debug],
        ["strip", library],
        ["objcopy", f"--add-gnu-debuglink={debug}", library],
    ]
    for command in commands:
        subprocess.run(command, check=True)
    return tmp_path / "short"


def stacks(program: Path, count: int, *arguments: str) -> list[list[str]]:
    """The frames of so many events, of which none is read before the program has ended."""
    probe = f"uprobe:{program}:leaf n=$arg1:s32 ustack"
    with subprocess.Popen(
        [*TRACE, probe, "--max-events", str(count)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as tracer:
        assert tracer.stdout is not None
        tracer.stdout.readline()  # the header, which is printed once the probe is there
        tracer.send_signal(signal.SIGSTOP)
        subprocess.run([program, *arguments], check=True)
        tracer.send_signal(signal.SIGCONT)
        printed, _ = tracer.communicate(timeout=60)
    found: list[list[str]] = []
    for line in printed.splitlines():
        if line.startswith("        "):
            found[-1].append(line.strip())
        else:
            found.append([])
    assert len(found) == count
    return found


def names(frames: list[str]) -> list[str]:
    return [frame.partition("+")[0] for frame in frames]


def test_names_of_a_program_that_ran_for_a_moment(program: Path) -> None:
    *carried, made, child = stacks(program, 25, "", "")
    for frames in (*carried, child):
        assert names(frames)[:5] == ["leaf", "last", "relay", "carry", "main"]
        assert [frame.partition(" ")[2] for frame in frames[:5]] == [
            "[short]", "[short]", "[libcarry.so]", "[libcarry.so]", "[short]"
        ]  # fmt: skip
    assert names(made)[:2] == ["leaf", "last"]
    assert made[2] == "[unknown] [anon]"
    assert names(made)[3] == "main"


def test_names_where_somebody_asked_before_the_session_was_open(program: Path) -> None:
    session = bp.Session(bp.uprobe(str(program), "leaf", ustack="ustack"))
    assert session.symbols.kernel(0) is None
    with session:
        subprocess.run([program], check=True)
        events = list(session.events(duration=0))
    (first, *_) = session.frames(events[0], "ustack") or ()
    assert str(first).startswith("leaf+0x")


def test_a_file_that_is_gone_with_its_process_is_at_least_named(program: Path) -> None:
    frames = stacks(program, 1, "gone")[0]
    assert frames[0] == "[unknown] [short]"
    assert frames[1] == "[unknown] [short]"
    assert names(frames)[2:4] == ["relay", "carry"]


def test_another_file_that_has_come_to_its_path_gives_no_names(program: Path) -> None:
    other = program.with_name("other")
    shutil.copy(program, other)
    script = program.with_name("run")
    script.write_text(f'#!/bin/sh\n"{program}" gone && mv "{other}" "{program}"\n')
    script.chmod(0o755)
    probe = f"uprobe:{program}:leaf ustack"
    with subprocess.Popen(
        [*TRACE, probe, "--max-events", "1"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as tracer:
        assert tracer.stdout is not None
        tracer.stdout.readline()
        tracer.send_signal(signal.SIGSTOP)
        subprocess.run([script], check=True)
        tracer.send_signal(signal.SIGCONT)
        printed, _ = tracer.communicate(timeout=60)
    assert "[unknown] [short]" in printed
    assert "leaf" not in printed


def test_a_deleted_file_has_names_while_its_process_lives(program: Path) -> None:
    with subprocess.Popen(
        [*TRACE, f"uprobe:{program}:leaf ustack", "--max-events", "1"],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    ) as tracer:  # fmt: skip
        assert tracer.stdout is not None
        tracer.stdout.readline()
        with subprocess.Popen([program, "gone", "", ""]) as process:
            printed, _ = tracer.communicate(timeout=60)
            process.kill()
    assert names([line.strip() for line in printed.splitlines() if "+" in line])[:1] == ["leaf"]
