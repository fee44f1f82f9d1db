"""A stack at a function's first instruction has the immediate caller, however it begins."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import bpfprobe as bp
from tests.call_chains import (
    AGAIN,
    CALLERS,
    LEAVES,
    ROUNDS,
    check_chains,
    name_at,
    write_program,
)
from tests.native.programs import needs_uprobes

pytestmark = needs_uprobes

TESTS = Path(__file__).parents[1]
SOURCE = """
#include "marker.h"
#define KEEP __attribute__((noinline, noipa))
KEEP int leaf(int n) { return n + 1; }
KEEP int wide(int n) { volatile char room[4096]; room[n] = 1; return room[n] + leaf(n); }
KEEP int marked(int n) { MARKER("shop", "first", "0", ""); return n + 1; }
KEEP int inner(int n) { int r = wide(n) + marked(n); __asm__ volatile(""); return r; }
KEEP int outer(int n)
{ int r = inner(n); __asm__ volatile(""); return r; }
int main(void)
{
    int sum = 0;
    for (int n = 0; n < 23; n++)
        sum += outer(n);
    return sum == 1;
}
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program at fixed addresses, so that those of a debugger can be compared."""
    folder = tmp_path_factory.mktemp("built")
    (folder / "chain.c").write_text(SOURCE)
    flags = [
        "-g",
        "-O1",
        "-no-pie",
        "-fno-omit-frame-pointer",
        "-fcf-protection=none",
        f"-I{TESTS}",
    ]
    subprocess.run(["gcc", *flags, "-o", folder / "chain", folder / "chain.c"], check=True)
    return folder / "chain"


def test_the_stack_at_entry_is_that_at_return(tmp_path: Path) -> None:
    check_chains(tmp_path)


def test_a_glob_has_the_caller_of_each_and_its_name(tmp_path: Path) -> None:
    program = tmp_path / "chains"
    places = write_program(program)
    probe = bp.uprobe(str(program), "*", stack="ustack", func="func")
    with bp.Session(probe, buffer_bytes=16 << 20) as session:
        subprocess.run([program], check=True)
        events = list(session.events(duration=0))
    found: dict[str, int] = {}
    for event in events:
        names = [name_at(places, address) for address in event.stack]
        assert names[0] == event.func
        while names[0] in AGAIN and names[1] == names[0]:
            names = names[1:]
        if names[0] in (*LEAVES, *AGAIN, "tailed", "warm.cold"):
            assert names[1:] == CALLERS, event.func
            found[names[0]] = found.get(names[0], 0) + 1
        if names[0] == "_start":
            assert names == ["_start"]
    assert found == {
        **dict.fromkeys([*LEAVES, "tailed", "warm.cold"], ROUNDS),
        **dict.fromkeys(AGAIN, 3 * ROUNDS),
    }


def test_places_by_number_and_behind_the_beginning(tmp_path: Path) -> None:
    program = tmp_path / "chains"
    places = write_program(program)
    probes = {
        "by_address": bp.uprobe(
            str(program), address=places["lea_leaf"].start, event="by_address", stack="ustack"
        ),
        "after_push": bp.uprobe(str(program), "push_leaf+1", event="after_push", stack="ustack"),
        "in_frame": bp.uprobe(str(program), "push_leaf+4", event="in_frame", stack="ustack"),
    }
    with bp.Session(*probes.values()) as session:
        subprocess.run([program], check=True)
        events = list(session.events(duration=0))
    seen = {
        name: {tuple(name_at(places, one) for one in e.stack) for e in events if e.probe == name}
        for name in probes
    }
    assert len(events) == 3 * ROUNDS
    assert seen == {
        "by_address": {("lea_leaf", *CALLERS)},
        # The caller's frame is there, its own is half made: the chain is taken as it is.
        "after_push": {("push_leaf", *CALLERS[1:])},
        "in_frame": {("push_leaf", *CALLERS)},
    }


@pytest.mark.skipif(shutil.which("gdb") is None, reason="needs gdb")
def test_stacks_are_those_that_gdb_prints(built: Path) -> None:
    line = SOURCE.splitlines().index('{ int r = inner(n); __asm__ volatile(""); return r; }') + 1
    asked = {
        "leaf": bp.uprobe(str(built), "leaf", event="leaf", stack="ustack"),
        "wide": bp.uprobe(str(built), "wide", event="wide", stack="ustack"),
        "inner": bp.uprobe(str(built), "inner", event="inner", stack="ustack"),
        "outer": bp.uprobe(str(built), f"chain.c:{line}", event="outer", stack="ustack"),
        "marked": bp.usdt(str(built), "shop:first", event="marked", stack="ustack"),
    }
    with bp.Session(*asked.values()) as session:
        subprocess.run([built], check=True)
        events = list(session.events(duration=0))
    ours = {name: {event.stack for event in events if event.probe == name} for name in asked}
    for name, stacks in ours.items():
        (stack,) = {
            tuple(address for address in stack if address < 1 << 32) for stack in stacks
        }  # below main there are libc's, which move
        assert sum(event.probe == name for event in events) == 23
        assert stack == _by_gdb(built, name), name


def _by_gdb(program: Path, function: str) -> tuple[int, ...]:
    commands = [f"break *{function}", "run", "backtrace", "print/x $pc", "kill"]
    options = [option for command in commands for option in ("-ex", command)]
    printed = subprocess.run(
        ["gdb", "-nx", "-batch", *options, program], capture_output=True, text=True, check=True
    ).stdout
    innermost = re.search(r"^\$1 = (0x[0-9a-f]+)$", printed, re.MULTILINE)
    outer = re.findall(r"^#[1-9]\d*\s+(0x[0-9a-f]+) in ", printed, re.MULTILINE)
    assert innermost is not None, printed
    return tuple(int(one, 16) for one in [innermost[1], *outer] if int(one, 16) < 1 << 32)
