from __future__ import annotations

import pytest

from bpfprobe.check.compare import compare, failure
from bpfprobe.check.reliances import reliances
from bpfprobe.errors import TargetError
from bpfprobe.model.verdict import Outcome, Reliance
from tests.sample_machine import MACHINE, bound


def told(text: str) -> dict[str, str]:
    return {each.what: each.how for each in reliances(bound(text), MACHINE)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kprobe:vfs_read", {"function vfs_read": "in the kernel"}),
        ("kprobe:vfs_read+0x10", {"function vfs_read": "in the kernel, 0x10 bytes into it"}),
        (
            "kprobe:nf_ct_delete portid",
            {
                "function nf_ct_delete": "in nf_conntrack",
                "argument portid of nf_ct_delete": "number 2, u32 portid",
            },
        ),
        ("p:at 0xffffffff81000000", {"function 0xffffffff81000000": "in the kernel"}),
        (
            "kprobe:untyped a=$arg2",
            {"function untyped": "in the kernel", "argument 2": "by its number alone"},
        ),
        (
            "kretprobe:vfs_read got=$retval if file->ready",
            {
                "function vfs_read": "in the kernel",
                "return value of vfs_read": "ssize_t (s64)",
                "file.ready": "u32 at 28, bits 0 to 0",
                "argument file of vfs_read": "number 1, struct file *file",
            },
        ),
        (
            "kprobe:vfs_read a=file->f_path.dentry->d_iname b=file->tags",
            {
                "function vfs_read": "in the kernel",
                "the memory of a": "at 32, 32 bytes",
                "the memory of b": "at 29, u8[4]",
                "file.f_path.dentry": "x64 at 8",
                "argument file of vfs_read": "number 1, struct file *file",
            },
        ),
        (
            "kprobe:vfs_read a=@jiffies_like",
            {"function vfs_read": "in the kernel", "symbol jiffies_like": "in the kernel"},
        ),
        (
            "kprobe:vfs_read a=+0(%di):u8[4]",
            {"function vfs_read": "in the kernel", "the memory of a": "u8[4]"},
        ),
        (
            "tracepoint:sched:sched_switch prev_comm prev_pid",
            {
                "tracepoint sched:sched_switch": "there",
                "field prev_comm of tracepoint sched:sched_switch": "char prev_comm[16] at 8",
                "field prev_pid of tracepoint sched:sched_switch": "pid_t prev_pid at 24",
            },
        ),
        (
            "syscall:openat filename retval",
            {
                "system call openat": "function __x64_sys_openat",
                "argument filename of system call openat": "number 2, const char *filename",
            },
        ),
        (
            "uprobe:/bin/bash:readline a=$arg1",
            {"uprobe:/bin/bash:readline": "in /bin/bash", "argument 1": "by its number alone"},
        ),
    ],
)
def test_what_a_description_counts_on(text: str, expected: dict[str, str]) -> None:
    assert told(text) == expected


def test_the_same_is_ok_and_a_difference_names_both_places() -> None:
    here = (Reliance("a", "u8 at 1"), Reliance("b", "there"), Reliance("c", "there"))
    there = (Reliance("a", "u8 at 2"), Reliance("b", "there"), Reliance("d", "u16 at 4"))
    assert compare(here, here, "6.1").outcome is Outcome.OK
    verdict = compare(here, there, "6.1")
    assert verdict.outcome is Outcome.DIFFERS
    assert verdict.notes == (
        "a: u8 at 1; on 6.1 u8 at 2",
        "c: there; not used on 6.1",
        "d: not used here; on 6.1 u16 at 4",
    )


def test_a_failure_has_the_code_and_the_whole_text() -> None:
    verdict = failure(TargetError("it is not there", code="NOT_RECORDED", hint="ask again"))
    assert (verdict.outcome, verdict.code) == (Outcome.FAILS, "NOT_RECORDED")
    assert verdict.notes == ("it is not there [NOT_RECORDED]", "hint: ask again")
