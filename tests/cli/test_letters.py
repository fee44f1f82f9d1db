"""Letters that mean one thing to kprobe(8) and another to trace(8)."""

from __future__ import annotations

import pytest

from bpfprobe.cli.letters import OURS, TRACE8, long_options
from bpfprobe.cli.main import _parser

OPEN = "p:open do_sys_openat2"
TRACED = 'do_sys_openat2 "%s", arg2@user'


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        # kprobe(8), uprobe(8)
        (["-F", "-H", OPEN], ["--force", "--headers", OPEN]),
        (["-s", "-d", "5", OPEN], ["--kernel-stack", "--duration", "5", OPEN]),
        (["-p", "42", OPEN], ["--pid", "42", OPEN]),
        (["-L42", OPEN], ["--tid", "42", OPEN]),
        (["-v", OPEN], ["--format", OPEN]),
        ([OPEN, 'filename ~ "*stat"', "-v"], [OPEN, 'filename ~ "*stat"', "--format"]),
        # ours
        (["-t", "42", "kprobe:f"], ["--tid", "42", "kprobe:f"]),
        (["-u", "root", OPEN], ["--uid", "root", OPEN]),
        (["-c", "ls /tmp", OPEN], ["--command", "ls /tmp", OPEN]),
        (["-T", OPEN, "--json"], ["--time", OPEN, "--json"]),
        # trace(8)
        ([TRACED, "-t", "-u"], [TRACED, "--timestamp", "--unix-timestamp"]),
        (["-t", TRACED], ["--timestamp", TRACED]),
        (["-tu", TRACED], ["--timestamp", "--unix-timestamp", TRACED]),
        (["-UKa", "-M", "3", "c:malloc"],
         ["--user-stack", "--kernel-stack", "--address", "--max-events", "3", "c:malloc"]),
        (["-c", "/sys/fs/cgroup/a", "vfs_read"], ["--cgroup-path", "/sys/fs/cgroup/a", "vfs_read"]),
        (["-v", "vfs_read"], ["--verbose", "vfs_read"]),
        (["-s", "/bin/ping", "p:c:inet_pton", "-U"],
         ["--sym_file_list", "/bin/ping", "p:c:inet_pton", "--user-stack"]),
        (["-p", "2740", TRACED, "-T"], ["--pid", "2740", TRACED, "--time"]),
        (["-n", "main", "-f", "x", "vfs_read"],
         ["--name", "main", "--msg-filter", "x", "vfs_read"]),
        (["-b", "128", "-SBA", "vfs_read"],
         ["--buffer-pages", "128", "--include-self", "--bin_cmp", "--aggregate", "vfs_read"]),
        # one of trace(8)'s among others
        ([OPEN, "vfs_read", "c:malloc", "-t"], [OPEN, "vfs_read", "c:malloc", "--timestamp"]),
        ([OPEN, "p::vfs_read", "-t"], [OPEN, "p::vfs_read", "--timestamp"]),
        ([OPEN, "kprobe:f", "-t", "3"], [OPEN, "kprobe:f", "--tid", "3"]),
        # what is no option
        (["-p", "3", "--", "-:gone"], ["--pid", "3", "--", "-:gone"]),
        (["-:gone"], ["-:gone"]),
        (["trace.bpfo", "-t", "3"], ["trace.bpfo", "--tid", "3"]),
        # a letter that nobody knows, a value that is not there
        (["-Tx", OPEN], ["--time", "-x", OPEN]),
        ([OPEN, "-p"], [OPEN, "--pid"]),
        (["-t", OPEN], ["--tid", OPEN]),
        # said outright
        (["--dialect", "trace8", "-t", OPEN], ["--dialect", "trace8", "--timestamp", OPEN]),
        (["--dialect=kernel", "-t", "3", "vfs_read"],
         ["--dialect=kernel", "--tid", "3", "vfs_read"]),
        (["--dura", "5", "-s", OPEN], ["--dura", "5", "--kernel-stack", OPEN]),
    ],
)  # fmt: skip
def test_letters_as_their_dialect_means_them(typed: list[str], meant: list[str]) -> None:
    assert long_options(typed) == meant


@pytest.mark.parametrize("table", [OURS, TRACE8])
def test_every_letter_is_an_option_that_there_is(table: dict[str, str]) -> None:
    parser = _parser(["trace"])
    (commands,) = parser._subparsers._group_actions  # type: ignore[union-attr]
    known = commands.choices["trace"]._option_string_actions  # type: ignore[index, call-overload]
    for letter, long in table.items():
        action = known[long.rstrip("=")]
        assert (action.nargs != 0) == long.endswith("="), letter


def test_letters_of_the_two_tables_differ_where_the_help_says() -> None:
    differing = {letter for letter in OURS | TRACE8 if OURS.get(letter) != TRACE8.get(letter)}
    assert differing == set("tucvs")
