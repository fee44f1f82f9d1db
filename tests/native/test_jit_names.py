"""Code that a program makes while it runs has the names that the program writes down for it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import bpfprobe as bp
from tests.native.programs import needs_uprobes

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = needs_uprobes

PROGRAM = r"""
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#define KEEP __attribute__((noinline, noipa))
KEEP void leaf(int n) { __asm__ volatile("" :: "r"(n)); }
KEEP void last(int n) { leaf(n); __asm__ volatile(""); }
int main(int argc, char **argv)
{
    /* push %rbp; mov %rsp,%rbp; mov %rdi,%rax; mov %esi,%edi; call *%rax; pop %rbp; ret */
    static const char code[] = "\x55\x48\x89\xe5\x48\x89\xf8\x89\xf7\xff\xd0\x5d\xc3";
    char path[64], go;
    char *made = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(made + 64, code, sizeof(code));
    mprotect(made, 4096, PROT_READ | PROT_EXEC);
    snprintf(path, sizeof(path), "/tmp/perf-%d.map", getpid());
    FILE *map = fopen(path, "w");
    fprintf(map, "%lx 40 stub\n%lx %zx made:%s\n", (long)made, (long)made + 64,
            sizeof(code), argv[1]);
    fclose(map);
    for (int n = 0; n < 23; n++)
        ((void (*)(void (*)(int), int))(made + 64))(last, n);
    if (argc > 2 && write(1, "k", 1) == 1)
        return read(0, &go, 1) == 1;
    return 0;
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    source, program = folder / "made.c", folder / "made"
    source.write_text(PROGRAM)
    flags = ["-O1", "-fno-omit-frame-pointer", "-fno-optimize-sibling-calls"]
    subprocess.run(["gcc", *flags, "-o", program, source], check=True)
    return program


def third_frames(session: bp.Session) -> tuple[list[Any], set[str]]:
    """Return the events, and what called last(), which called leaf()."""
    events: list[Any] = list(session.events(duration=0))
    frames = [session.frames(event, "stack") for event in events]
    assert all(found is not None and str(found[0]).startswith("leaf") for found in frames)
    return events, {str(found[2]) for found in frames if found is not None}


def probe(program: Path) -> bp.Probe:
    return bp.uprobe(str(program), "leaf", n="$arg1:s32", stack="ustack")


def test_of_a_program_that_has_ended_when_its_events_are_read(program: Path) -> None:
    with bp.Session(probe(program)) as session:
        process = subprocess.Popen([program, "one\x1b"])
        process.wait(timeout=30)
        written = Path(f"/tmp/perf-{process.pid}.map")
        try:
            events, found = third_frames(session)
        finally:
            written.unlink()
    assert [event.n for event in events] == [*range(23)]
    assert {event.pid for event in events} == {process.pid}
    assert found == {f"made:one\\x1b+0xb [perf-{process.pid}.map]"}


NAMESPACES = ["unshare", "-m", "-p", "-f", "--mount-proc", "sh", "-c"]


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare(1)")
def test_of_a_process_with_a_pid_namespace_and_a_tmp_of_its_own(
    program: Path, tmp_path: Path
) -> None:
    """Where it is another number; the file of that name that is seen from here is another's."""
    script = 'mount -t tmpfs none /tmp && exec "$0" two waits'
    moved = Path("/var/tmp") / f"bpfprobe-made-{tmp_path.name}"
    shutil.copy(program, moved)  # what is below /tmp would be hidden there
    try:
        command: Sequence[object] = [*NAMESPACES, script, moved]
        with (
            bp.Session(probe(moved)) as session,
            subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            ) as process,
        ):
            assert process.stdout is not None
            assert process.stdin is not None
            assert process.stdout.read(1) == b"k"
            events, found = third_frames(session)
            process.stdin.close()
    finally:
        moved.unlink()
    assert [event.n for event in events] == [*range(23)]
    assert found == {"made:two+0xb [perf-1.map]"}
