"""A machine for tests above the waterline, and short ways from a description to each stage."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

import bpfprobe as bp
from bpfprobe.errors import Diagnostic, SpecError, TargetError
from bpfprobe.model.machine import Answer, MachineFacts
from bpfprobe.pipeline import Compilation, describe, spec_of
from bpfprobe.resolve.resolve import resolve
from bpfprobe.testing.static_target import FACTS, StaticTarget

if TYPE_CHECKING:
    from bpfprobe.model.bound import Bound
    from bpfprobe.model.plan import Plan, ProbePlan
    from bpfprobe.model.value import Capturable

STRUCTS: dict[str, Any] = {
    "list_head": "struct list_head *next; struct list_head *prev;",
    "qstr": "union { struct { u32 hash; u32 len; }; u64 hash_len; }; const unsigned char *name;",
    "dentry": "u32 d_flags; struct dentry *d_parent; struct qstr d_name; char d_iname[32];",
    "path": "struct vfsmount *mnt; struct dentry *dentry;",
    "super_block": "unsigned long s_magic; char s_id[32];",
    "inode": "umode_t i_mode; u32 i_uid; struct super_block *i_sb; unsigned long i_ino;",
    "file": (
        "struct path f_path; struct inode *f_inode; unsigned int f_flags; u32 ready : 1; "
        "s32 level : 3; u8 tags[4]; loff_t f_pos; bool locked; u64 marks[80];"
    ),
    "open_how": [("flags", "u64"), ("mode", "u64"), ("resolve", "u64")],
    "mm_struct": "unsigned long arg_start; unsigned long arg_end;",
    "task_struct": (
        "struct mm_struct *mm; pid_t pid; pid_t tgid; struct task_struct *real_parent; "
        "char comm[16]; struct list_head tasks;"
    ),
    "pair": "long a; long b;",
    "sockaddr": "unsigned short sa_family; char sa_data[14];",
}
FUNCTIONS = (
    "long do_sys_openat2(int dfd, const char *filename /*user*/, struct open_how *how)",
    "ssize_t vfs_read(struct file *file, char __user *buf, size_t count, loff_t *pos)",
    "ssize_t vfs_write(struct file *file, const char __user *buf, size_t count, loff_t *pos)",
    "void wake(struct task_struct *task, bool now, char letter, const char *why)",
    "int eight(int a, int b, int c, int d, int e, int f, int g, struct file *h)",
    "int by_value(int first, struct pair both, int last)",
    "struct file *open_it(const char *name, umode_t mode)",
    "int printk(const char *fmt, ...)",
    "bool nf_ct_delete(struct nf_conn *ct, u32 portid, int report) [nf_conntrack]",
    "long __x64_sys_openat(const struct pt_regs *regs)",
    "long __x64_sys_execve(const struct pt_regs *regs)",
    "long __arm64_sys_openat(const struct pt_regs *regs)",
    "notify_die",
    "no_trace_here",
    "untyped",
    "name_show",
    "name_show",
    "renamed.isra.0",
)
TRACEPOINTS = {
    "sched:sched_process_exec": ["__data_loc char[] filename", "pid_t pid", "pid_t old_pid"],
    "sched:sched_switch": [
        "char prev_comm[16]",
        "pid_t prev_pid",
        "int prev_prio",
        "long prev_state",
    ],
    "lab:shapes": [
        "__rel_loc char[] text",
        "__data_loc u32[] numbers",
        "u16 four[4]",
        "struct file *file",
        "const char *why",
        "u8 small",
    ],
    "syscalls:sys_enter_openat": [
        "long __syscall_nr",
        "unsigned long dfd",
        "const char *filename",
        "unsigned long flags",
        "unsigned long mode",
    ],
    "syscalls:sys_exit_openat": ["long __syscall_nr", "long ret"],
    "syscalls:sys_enter_execve": [
        "long __syscall_nr",
        "const char *filename",
        "const char *const *argv",
        "const char *const *envp",
    ],
    "syscalls:sys_exit_execve": ["long __syscall_nr", "long ret"],
}
NO = Answer(False, "CONFIG_X is not set in the test")


def machine(facts: MachineFacts = FACTS, **changes: Any) -> StaticTarget:
    """The machine; keywords replace what `StaticTarget` is given."""
    given: dict[str, Any] = {
        "functions": FUNCTIONS,
        "structs": STRUCTS,
        "symbols": ["jiffies_like", "__per_cpu_offset"],
        "tracepoints": TRACEPOINTS,
        "binaries": {
            "/bin/bash": ["readline", "main", "twice"],
            "/usr/lib/libc.so.6": ["malloc", "free"],
            "/opt/gopher": ["main.main"],
            "/bin/broken": TargetError("/bin/broken is no ELF file", code="NOT_ELF"),
        },
        "go_binaries": ["/opt/gopher"],
        "processes": {42: ["/bin/bash"]},
        "blacklisted": {"notify_die"},
        "untraceable": {"no_trace_here"},
        "facts": facts,
    }
    return StaticTarget(**(given | changes))


MACHINE = machine()
ARM = machine(replace(FACTS, arch="aarch64"))


def as_spec(probe: str | bp.Probe | bp.ProbeSpec) -> bp.ProbeSpec:
    return spec_of(bp.probe(probe) if isinstance(probe, str) else probe)


def bound(probe: str | bp.Probe | bp.ProbeSpec, target: StaticTarget = MACHINE) -> Bound:
    """One description, resolved."""
    return resolve([as_spec(probe)], target).probes[0]


def value(probe: str | bp.Probe | bp.ProbeSpec, target: StaticTarget = MACHINE) -> Capturable:
    """What the first capture takes."""
    return bound(probe, target).captures[0].value


def compiled(
    *probes: str | bp.Probe | bp.ProbeSpec, target: StaticTarget = MACHINE, **options: Any
) -> Compilation:
    """Descriptions through all stages above the waterline."""
    return describe([as_spec(probe) for probe in probes], target, bp.Options(**options))


def planned(
    *probes: str | bp.Probe | bp.ProbeSpec, target: StaticTarget = MACHINE, **options: Any
) -> Plan:
    return compiled(*probes, target=target, **options).plan


def one_plan(
    probe: str | bp.Probe | bp.ProbeSpec, target: StaticTarget = MACHINE, **options: Any
) -> ProbePlan:
    return planned(probe, target=target, **options).probes[0]


def c_text(
    *probes: str | bp.Probe | bp.ProbeSpec, target: StaticTarget = MACHINE, **options: Any
) -> str:
    return compiled(*probes, target=target, **options).source.text


def complaint(
    probe: str | bp.Probe | bp.ProbeSpec, target: StaticTarget = MACHINE, **options: Any
) -> Diagnostic:
    """The one thing that is wrong with a description."""
    with pytest.raises(SpecError) as caught:
        compiled(probe, target=target, **options)
    (diagnostic,) = caught.value.diagnostics
    return diagnostic


def place(diagnostic: Diagnostic) -> str:
    """The characters that the caret line points at."""
    assert diagnostic.span is not None
    return diagnostic.span.text
