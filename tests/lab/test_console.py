from __future__ import annotations

import pytest

from bpfprobe.lab.console import fault_in
from bpfprobe.lab.errors import GuestFault, GuestLost, GuestTimeout, console_tail


@pytest.mark.parametrize(
    "line",
    [
        "[    5.100000] BUG: kernel NULL pointer dereference, address: 0000000000000008",
        "[    5.100000] Oops: 0002 [#1] PREEMPT SMP NOPTI",
        "[    5.100000] WARNING: CPU: 1 PID: 7 at kernel/kprobes.c:1073 arm_kprobe+0x1/0x2",
        "[    5.100000] Kernel panic - not syncing: sysrq triggered crash",
        "[    5.100000] watchdog: BUG: soft lockup - CPU#0 stuck for 22s!",
    ],
)
def test_a_fault_is_found_with_its_line(line):
    console = f"[    1.000000] quiet before\r\n{line}\r\n[    5.200000] after\r\n".encode()
    assert fault_in(console) == line


def test_a_fault_on_the_unfinished_last_line():
    assert fault_in(b"one\n[    5.100000] BUG: cut o") == "[    5.100000] BUG: cut o"


@pytest.mark.parametrize(
    "console", [b"", b"[ 1.0] debugfs: ready\n", b"[ 1.0] clocksource: tsc unstable\n"]
)
def test_a_clean_console(console):
    assert fault_in(console) is None


def test_the_tail_is_safe_to_print_and_short():
    tail = console_tail(
        b"\n".join(b"line %d" % n for n in range(100)) + b"\n\x1b[2J\x07\xff", lines=3
    )
    assert tail.splitlines() == [
        "the guest's console ends with:",
        "  | line 98",
        "  | line 99",
        "  | \\x1b[2J\\x07\N{REPLACEMENT CHARACTER}",
    ]


@pytest.mark.parametrize(
    ("kind", "status"), [(GuestFault, 70), (GuestLost, 71), (GuestTimeout, 124)]
)
def test_errors_show_the_console_and_have_an_exit_status(kind, status):
    error = kind("it failed", console=b"[ 5.1] last words\n")
    assert "last words" in str(error)
    assert error.code in str(error)
    assert error.exit_status == status
