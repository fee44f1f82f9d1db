"""A folder that looks like a machine with tracefs, debugfs and processes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

KPROBES = """\
r64:kprobes/r_vfs_read_bcc_99 vfs_read
p:kprobes/p_vfs_open_bcc_100 vfs_open
p:my/ev vfs_read+16 a=%di b=+0(%si):string
p:probe/vfs_write vfs_write
p:kprobes/libbpf_99_0_vfs_open_0x0 vfs_open
"""
UPROBES = """\
p:uprobes/p__bin_sh_0x5000_bcc_99 /bin/sh:0x0000000000005000
p:sdt_libc/setjmp /lib/libc.so.6:0x10(0x20) arg1=%di
"""
OTHERS = """\
e:eprobes/e1 sched.sched_switch a=$next_pid
s:synthetic/wake u64 lat; pid_t pid
f:fprobes/f1 vfs_open%return
"""
PROFILE = """\
  r_vfs_read_bcc_99                                         41               7
  ev                                                        23               0
  vfs_write                                                 17               1
"""
LIST = """\
ffffffff8134d3d0  k  vfs_write+0x0    [FTRACE]
ffffffff8134cc60  k  vfs_read+0x10    [OPTIMIZED]
ffffffff8134cc50  r  vfs_read+0x0    [DISABLED][FTRACE]
ffffffffc0000000  k  nf_ct_delete+0x4  nf_conntrack
ffffffffc0000100  k  gone+0x0  old [GONE]
"""
TRACEFS = "sys/kernel/tracing"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def make_root(root: Path) -> Path:
    write(
        root / "proc/mounts",
        "tracefs /sys/kernel/tracing tracefs rw 0 0\ndebugfs /sys/kernel/debug debugfs rw 0 0\n",
    )
    write(root / TRACEFS / "kprobe_events", KPROBES)
    write(root / TRACEFS / "uprobe_events", UPROBES)
    write(root / TRACEFS / "dynamic_events", OTHERS + KPROBES + UPROBES)
    write(root / TRACEFS / "kprobe_profile", PROFILE)
    write(root / TRACEFS / "uprobe_profile", "  /lib/libc.so.6 setjmp      5\n")
    write(root / TRACEFS / "events/my/ev/enable", "1\n")
    write(root / TRACEFS / "events/probe/vfs_write/enable", "0*\n")
    write(root / TRACEFS / "events/kprobes/r_vfs_read_bcc_99/enable", "0\n")
    write(root / TRACEFS / "events/kprobes/r_vfs_read_bcc_99/id", "1500\n")
    write(root / "sys/kernel/debug/kprobes/list", LIST)
    (root / "proc/self/ns").mkdir(parents=True)
    (root / "proc/self/ns/pid").symlink_to("pid:[4026531836]")
    write(root / "proc/uptime", "1000000000.00 5.00\n")  # booted in the seventies
    return root


def add_process(
    root: Path,
    pid: int,
    *,
    ids: str = "",
    state: str = "S (sleeping)",
    threads: int = 1,
    started_s: float = 10.0,
    holds: str = "/dev/null",
) -> None:
    """``started_s`` counts from boot."""
    here = root / "proc" / str(pid)
    text = f"Name:\ttracer {pid}\nState:\t{state}\nNSpid:\t{ids or pid}\nThreads:\t{threads}\n"
    write(here / "status", text)
    ticks = int(started_s * os.sysconf("SC_CLK_TCK"))
    write(here / "stat", f"{pid} (a) b) S {' '.join(['0'] * 18)} {ticks} 0 0\n")
    (here / "fd").mkdir()
    (here / "fd/0").symlink_to(holds)
