"""Descriptions of a Linux 6.1 checked anywhere: the target is a file, recorded in a guest with

``bpfprobe explain --record x86_64-6.1.json.gz SPEC...``
"""

from __future__ import annotations

from pathlib import Path

import pytest

import bpfprobe as bp
from bpfprobe.engine.live import LiveEngine
from bpfprobe.model.site import KernelSite
from bpfprobe.model.value import Load
from bpfprobe.model.walk import walk
from bpfprobe.pipeline import Compilation, describe
from bpfprobe.testing import RecordedTarget

FILE = Path(__file__).with_name("targets") / "x86_64-6.1.json.gz"
SPECS = (
    "r:opened do_sys_openat2 path=filename:ustring flags=how->flags:x64 fd=$retval:s32 parent=ppid",
    "kprobe:cgroup_file_open m=((struct kernfs_open_file *)$arg1)->file->f_inode->i_sb->s_magic "
    "if m == 0x63677270",
    "syscall:execve argv retval",
    "kprobe:vfs_read count name=file->f_path.dentry->d_name.name",
    "tracepoint:sched:sched_process_exec filename pid",
)


@pytest.fixture(scope="module")
def target() -> RecordedTarget:
    return RecordedTarget.load(FILE)


@pytest.fixture(scope="module")
def compiled(target: RecordedTarget) -> Compilation:
    return describe([bp.probe(spec) for spec in SPECS], target)


def test_sites_are_those_of_that_kernel(compiled: Compilation) -> None:
    assert compiled.plan.facts.release.startswith("6.1.0-")
    assert [str(probe.site) for probe in compiled.plan.probes] == [
        "kretprobe:do_sys_openat2",
        "kprobe:cgroup_file_open",
        "kretprobe:__x64_sys_execve",
        "kprobe:vfs_read",
        "tracepoint:sched:sched_process_exec",
    ]
    assert compiled.plan.probes[2].pairing is not None
    assert compiled.plan.probes[2].pairing.site == KernelSite("__x64_sys_execve")


def test_members_stand_where_that_kernel_has_them(compiled: Compilation) -> None:
    loads = {
        f"{node.struct}.{node.member}": node.offset
        for probe in compiled.bound.probes
        for node in walk((*(c.value for c in probe.captures), probe.filter))
        if isinstance(node, Load)
    }
    # From `pahole -C file vmlinux` and its like for the Debian kernel that was recorded.
    assert loads["file.f_path.dentry"] == 24
    assert loads["dentry.d_name.name"] == 40
    assert loads["open_how.flags"] == 0
    assert loads["super_block.s_magic"] == 96


def test_the_c_for_that_kernel_compiles_on_this_one(compiled: Compilation) -> None:
    codes = LiveEngine().compile(compiled.source)
    assert [code.program.name for code in codes] == [p.name for p in compiled.source.programs]
    assert all(len(code.instructions) % 8 == 0 and code.instructions for code in codes)


def test_what_was_not_recorded_says_how_to_record_it(target: RecordedTarget) -> None:
    with pytest.raises(bp.TargetError) as caught:
        describe([bp.kprobe("vfs_write")], target)
    assert caught.value.code == "NOT_RECORDED"
    assert caught.value.hint
