"""The corpus of definitions without a kernel: the code and the caret that are written there.

tests/guest/test_grammar_verdicts.py asks the kernels themselves, which wrote them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bpfprobe.errors import TargetError
from bpfprobe.model.machine import Symbol
from bpfprobe.testing.static_target import StaticTarget
from tests.sample_machine import STRUCTS, TRACEPOINTS

sys.path.insert(0, str(Path(__file__).parent / "guest" / "differential"))

import our_side
from corpus import Entry, Pair, constant_words, read_appending, read_corpus
from differences import DIFFERENCES, explain

VFS_READ = 0xFFFFFFFF81000000
TARGET = StaticTarget(
    functions=[
        "ssize_t vfs_read(struct file *file, char __user *buf, size_t count, loff_t *pos)",
        "long do_sys_openat2(int dfd, const char *filename /*user*/, struct open_how *how)",
        "int ip_append_data(int a, int b, int c, int d, int e, int f, u32 g, u32 h, u32 i)",
        "struct file *do_filp_open(int dfd, struct filename *name)",
        "void kfree(const void *object)",
        "int ovl_fill_super(struct super_block *sb) [overlay]",
        "pid_t kernel_clone(struct kernel_clone_args *args)",
        "void dput(struct dentry *dentry)",
        "int vfs_open(const struct path *path, struct file *file)",
        "int vfs_symlink(int a, int b, const char *oldname)",
        "struct filename *getname_flags(const char *filename /*user*/, int flags)",
        "void *tracefs_create_dir(const char *name, int parent)",
        "int inet_csk_accept(int a)",
    ],
    structs={
        **STRUCTS,
        "task_struct": "struct pair se; pid_t pid; u32 in_execve : 1; char comm[16]; "
        "struct task_struct *real_parent;",
        "rq": "int cpu; struct task_struct *curr;",
    },
    symbols=[
        Symbol("linux_proc_banner", VFS_READ + 0x10000, "D"),
        Symbol("_sdata", VFS_READ + 0x11000, "D"),
        Symbol("name_show", VFS_READ + 0x12000, "t"),
        Symbol("name_show", VFS_READ + 0x13000, "t"),
        Symbol("t_show", VFS_READ + 0x14000, "t"),
        Symbol("t_show", VFS_READ + 0x15000, "t"),
        Symbol("__per_cpu_offset", VFS_READ + 0x20000, "D"),
        Symbol("this_cpu_off", VFS_READ + 0x30000, "D"),
        Symbol("runqueues", VFS_READ + 0x40000, "D"),
    ],
    tracepoints={
        **TRACEPOINTS,
        "sched:sched_switch": ["char next_comm[16]", "pid_t prev_pid", "int prev_prio"],
    },
    binaries={
        "/lib/libc.so.6": ["access"],
        "/bin/sh": ["main"],
        "/sys": TargetError("/sys is not a regular file", code="NOT_REGULAR"),
    },
)
REGISTERS = "r15 r14 r13 r12 bp bx r11 r10 r9 r8 ax cx dx si di orig_ax ip cs flags sp ss"
WORDS = {
    **constant_words(REGISTERS.split()),
    "binary": "/lib/libc.so.6",
    "offset": "0x1100",
    "decimal_offset": str(0x1100),
    "ref_counter": "0x4010",
    "returns_pointer": "do_filp_open",
    "address": f"{VFS_READ:#x}",
    "upper_address": f"0X{VFS_READ:X}",
    "data_address": f"{VFS_READ + 0x10000:#x}",
    "inside": "5",
}
CORPUS = read_corpus(WORDS)


@pytest.mark.parametrize("entry", CORPUS, ids=lambda entry: f"{entry.line}")
def test_the_verdict_is_the_kernels(entry: Entry) -> None:
    ours = our_side.verdict(entry.text, TARGET)
    if ours != entry.expected:
        assert explain(entry.text, entry.expected, ours), f"{ours}, not {entry.expected}"


@pytest.mark.parametrize("pair", read_appending(WORDS), ids=str)
def test_definitions_of_one_event(pair: Pair) -> None:
    assert our_side.appended(pair.first, pair.second) == pair.expected


def test_every_code_of_the_kernels_that_a_description_can_cause_is_caused() -> None:
    import kernel_side

    caused = {entry.expected.code for entry in CORPUS}
    caused |= {pair.expected.code for pair in read_appending(WORDS)}
    assert set(kernel_side.CODES.values()) - caused == NOT_CAUSED


NOT_CAUSED = {
    # What a description alone cannot cause: it takes other events, a failing machine, or a place
    # that is known only when it is attached to.
    "FAIL_REG_PROBE", "BAD_BTF_TID", "NO_BTF_ENTRY",
    # Limits of the kernel's that bpfprobe does not have, or has elsewhere.
    "ARGIDX_2BIG", "EVENT_TOO_BIG", "TOO_MANY_OPS", "TOO_MANY_EARGS",
    "ARG_TOO_LONG", "ARGS_2LONG", "BAD_VAR_ARGS", "TYPECAST_NOT_EVENT",
    # Not the same word: tracepoints without their event, and fields of events.
    "BAD_TP_NAME", "NO_TRACEPOINT", "BAD_ATTACH_ARG",
}  # fmt: skip


def test_differences_have_titles_and_reasons_of_their_own() -> None:
    assert len({d.title for d in DIFFERENCES}) == len({d.reason for d in DIFFERENCES})
    assert len(DIFFERENCES) == len({d.title for d in DIFFERENCES})
