"""Stacks with names in Python, of programs that have ended as well."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import bpfprobe as bp
from tests.native.programs import needs_uprobes

pytestmark = needs_uprobes

PROGRAM = """
#define KEEP __attribute__((noinline, noipa))
KEEP void leaf(int n) { __asm__ volatile("" :: "r"(n)); }
KEEP void caller(int n) { leaf(n); __asm__ volatile(""); }
int main(void)
{
    for (int n = 0; n < 23; n++)
        caller(n);
    return 0;
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("frames")
    source, program = folder / "short.c", folder / "short"
    source.write_text(PROGRAM)
    flags = ["-O1", "-fno-omit-frame-pointer", "-fno-optimize-sibling-calls"]
    subprocess.run(["gcc", *flags, "-o", program, source], check=True)
    return program


def test_frames_of_a_program_that_has_ended_when_its_events_are_read(program: Path) -> None:
    probe = bp.uprobe(str(program), "leaf", n="$arg1:s32", stack="ustack")
    with bp.Session(probe) as session:
        subprocess.run([program], check=True)
        events = list(session.events(duration=0))
        named = [session.frames(event, "stack") for event in events]
    assert [event.n for event in events] == list(range(23))
    for event, frames in zip(events, named, strict=True):
        assert frames is not None
        assert tuple(frame.address for frame in frames) == event.stack
        assert str(frames[0]) == "leaf+0x0 [short]"
        assert [str(frame).partition("+")[0] for frame in frames[1:3]] == ["caller", "main"]
        assert frames[1].place is not None
        assert frames[1].place.module == str(program)
    assert session.frames(events[0], "stack") == named[0]  # what is known stays


def test_names_are_not_kept_where_nobody_asked_for_a_stack(program: Path) -> None:
    with bp.Session(bp.uprobe(str(program), "leaf", at="%ip:x64")) as session:
        subprocess.run([program], check=True)
        events = list(session.events(duration=0))
        assert len(events) == 23
        assert session.symbols.user(events[0].pid, events[0].at) is None
        with pytest.raises(bp.SessionError, match="at is no stack of leaf"):
            session.frames(events[0], "at")


def test_a_session_that_cannot_begin_watches_nothing(program: Path) -> None:
    fds = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        with pytest.raises(bp.SpecError):
            bp.Session(bp.uprobe(str(program), "nowhere", stack="ustack")).open()
    assert len(list(Path("/proc/self/fd").iterdir())) == fds
