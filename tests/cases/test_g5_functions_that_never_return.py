"""A probe on the return of a function that never returns is named at the start."""

from __future__ import annotations

import pytest

import bpfprobe as bp
from bpfprobe.testing import FakeEngine
from tests.sample_machine import TRACEPOINTS, machine

EXITS = ["long ret"]
LIBC = "/usr/lib/x86_64-linux-gnu/libc.so.6"
MACHINE = machine(
    functions=[
        *("do_exit", "do_group_exit", "do_task_dead", "__x64_sys_exit_group"),
        *("do_fork", "vfs_exit"),
    ],
    binaries={LIBC: ["exit", "_exit", "longjmp", "malloc"], "/bin/own": ["exit", "main"]},
    tracepoints=TRACEPOINTS
    | {
        f"syscalls:sys_{when}_{name}": ["long __syscall_nr", *fields]
        for name in ("exit", "exit_group", "exits")
        for when, fields in (("enter", ["int code"]), ("exit", EXITS))
    },
)  # fmt: skip


@pytest.mark.parametrize(
    ("probe", "said"),
    [
        ("r do_exit", "do_exit never returns: do_exit has no event of it"),
        ("r:gone do_group_exit took=duration", "do_group_exit never returns: gone"),
        ("r __x64_sys_exit_group", "__x64_sys_exit_group never returns"),
        ("kretprobe:do_task_dead", "do_task_dead never returns"),
        (f"uretprobe:{LIBC}:exit", "exit never returns"),
        (f"uretprobe:{LIBC}:*", "exit, _exit, longjmp never return"),
        ("tracepoint:syscalls:sys_exit_exit_group", "exit_group never returns"),
        ("syscall:exit retval", "exit never returns"),
        ("r vfs_exit", ""),
        ("r do_fork duration", ""),
        ("p do_exit", ""),
        (f"uprobe:{LIBC}:exit", ""),
        (f"uretprobe:{LIBC}:malloc", ""),
        ("uretprobe:/bin/own:exit", ""),  # a program may have its own
        ("tracepoint:syscalls:sys_exit_exits", ""),
        ("tracepoint:syscalls:sys_enter_exit", ""),
        ("syscall:exit code", ""),
    ],
)
def test_it_is_said_before_anything_is_attached(probe: str, said: str) -> None:
    engine, told = FakeEngine(), list[tuple[str, str, int]]()
    session = bp.Session(bp.probe(probe), target=MACHINE, engine=engine)
    session.on_notice(lambda notice: told.append((notice.code, str(notice), len(engine.attached))))
    with session:
        pass
    found = [(text, attached) for code, text, attached in told if code == "NEVER_RETURNS"]
    assert [attached for _, attached in found] == [0] * bool(said)
    assert all(text.startswith(said) for text, _ in found)
