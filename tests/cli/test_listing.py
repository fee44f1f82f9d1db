from __future__ import annotations

import subprocess
import sys

import pytest

from bpfprobe.cli.listing import list_points
from bpfprobe.errors import TargetError
from bpfprobe.testing import StaticTarget

TARGET = StaticTarget(
    functions=[
        "ssize_t vfs_read(struct file *file, size_t count)",
        "vfs_write",
        "bool nf_ct_delete(struct nf_conn *ct) [nf_conntrack]",
        "long __x64_sys_openat(const struct pt_regs *regs)",
    ],
    tracepoints={
        "sched:sched_switch": ["char prev_comm[16]", "pid_t prev_pid"],
        "syscalls:sys_enter_openat": ["int __syscall_nr", "unsigned long dfd"],
    },
    binaries={"/bin/bash": ["readline", "main"]},
    blacklisted={"vfs_write"},
    untraceable={"nf_ct_delete"},
)


@pytest.mark.parametrize(
    ("pattern", "lines"),
    [
        ("kprobe:vfs_*", ["kprobe:vfs_read"]),
        ("kretprobe:vfs_r*", ["kretprobe:vfs_read"]),
        ("tracepoint:sched:*", ["tracepoint:sched:sched_switch"]),
        ("tracepoint:sched_*", ["tracepoint:sched:sched_switch"]),
        ("syscall:open*", ["syscall:openat"]),
        ("uprobe:bash:read*", ["uprobe:/bin/bash:readline"]),
        ("uretprobe:/bin/bash:", ["uretprobe:/bin/bash:main", "uretprobe:/bin/bash:readline"]),
        ("*s*_r*", ["kprobe:vfs_read"]),
        ("sched*", ["tracepoint:sched:sched_switch"]),
    ],
)
def test_what_a_pattern_lists(pattern: str, lines: list[str]) -> None:
    assert list(list_points(pattern, TARGET)) == lines


@pytest.mark.parametrize(
    ("pattern", "lines"),
    [
        ("kprobe:vfs_read", ["ssize_t vfs_read(struct file *file, size_t count)"]),
        ("kprobe:vfs_write", ["no types: BTF does not have it"]),
        (
            "kprobe:nf_conntrack:*",
            ["bool nf_ct_delete(struct nf_conn *ct)"],
        ),
        ("tracepoint:sched:*", ["char prev_comm[16]", "pid_t prev_pid"]),
        ("syscall:openat", ["unsigned long dfd"]),
    ],
)
def test_what_verbose_adds(pattern: str, lines: list[str]) -> None:
    shown = list(list_points(pattern, TARGET, verbose=True, left_out=None))
    assert shown[1:] == [f"    {line}" for line in lines]


@pytest.mark.parametrize(
    ("pattern", "code", "hint"),
    [
        ("kprobe:vfs_raed", "NOTHING_FITS", "vfs_read"),
        ("vfs_raed*", "NOTHING_FITS", "vfs_read"),
        ("tracepoint:sched:sched_swich", "NOTHING_FITS", "sched:sched_switch"),
        ("syscall:opnat", "NOTHING_FITS", "openat"),
        ("uprobe:bash:raedline", "NOTHING_FITS", "readline"),
        ("uprobe:nope:x", "NO_FILE", ""),
        ("kprobs:x", "BAD_PATTERN", "kprobe"),
    ],
)
def test_nothing_found_says_what_is_near(pattern: str, code: str, hint: str) -> None:
    with pytest.raises(TargetError) as caught:
        list(list_points(pattern, TARGET))
    assert caught.value.code == code
    assert hint in (caught.value.hint or "")


def test_the_command_says_who_complains() -> None:
    command = [sys.executable, "-m", "bpfprobe", "list", "nokind:x"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("bpfprobe: there is no kind of probe 'nokind' [BAD_PATTERN]\n")
