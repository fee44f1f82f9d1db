"""A hint names the true cause, and a way that works when it is typed."""

from __future__ import annotations

import pytest

from bpfprobe.testing import StaticTarget
from tests.sample_machine import FUNCTIONS, STRUCTS, compiled, complaint, machine

TARGET = machine(
    functions=[
        *FUNCTIONS,
        "pid_t kernel_clone(struct kernel_clone_args *args)",
        "int tcp_sendmsg(struct sock *sk, struct msghdr *msg, size_t size)",
        "void blk_account_io_done(struct request *rq)",
        "void blk_mq_end_request(struct request *rq, int error)",
        "int vfs_reed(int a)",
        "int vfs_raed_not(int a)",
        "void folio_mark_accessed(struct folio *folio)",
    ],
    structs={
        **STRUCTS,
        "sock_common": "unsigned short skc_family; int skc_state;",
        "sock": "struct sock_common __sk_common; int sk_err;",
        "msghdr": "struct path where; int msg_flags;",
    },
    untraceable={"no_trace_here", "blk_account_io_done", "vfs_reed"},
)


@pytest.mark.parametrize(
    ("wrong", "hint", "right"),
    [
        ("fentry:vfs_read", "kprobe:vfs_read goes to", "kprobe:vfs_read"),
        ("kfunc:vmlinux:vfs_read", "kprobe:vfs_read goes to", "kprobe:vfs_read"),
        ("fexit:vfs_read", "kretprobe:vfs_read goes to", "kretprobe:vfs_read"),
        ("kretfunc:vfs_read", "kretprobe:vfs_read goes to", "kretprobe:vfs_read retval"),
        ("kprobe:vfs_read arg0", "did you mean $arg1?", "kprobe:vfs_read $arg1"),
        ("kprobe:vfs_read nsecs", "did you mean time?", "kprobe:vfs_read time"),
        ("kretprobe:vfs_read elapsed", "did you mean duration?", "kretprobe:vfs_read duration"),
        ("kprobe:vfs_read curtask->pid", "$current", "kprobe:vfs_read $current->pid"),
        ("kprobe:vfs_read execname", "did you mean comm?", "kprobe:vfs_read comm"),
        ("kprobe:vfs_read x=$count", "did you mean count?", "kprobe:vfs_read x=count"),
        (
            "kprobe:tcp_sendmsg sk->skc_family",
            "did you mean __sk_common.skc_family?",
            "kprobe:tcp_sendmsg sk->__sk_common.skc_family",
        ),
        (
            "kprobe:tcp_sendmsg msg->dentry",
            "did you mean where.dentry?",
            "kprobe:tcp_sendmsg msg->where.dentry",
        ),
        ("kprobe:do_fork", "did you mean kernel_clone?", "kprobe:kernel_clone"),
        ("p _do_fork", "did you mean kernel_clone?", "p kernel_clone"),
        ("kprobe:mark_page_accessed", "folio_mark_accessed?", "kprobe:folio_mark_accessed"),
        ("kprobe:__blk_account_io_done", "blk_mq_end_request?", "kprobe:blk_mq_end_request"),
        (
            "kprobe:vfs_read container_of(file, struct file, f_path)->f_flags",
            "(file,f_path)$arg1->f_flags",
            "kprobe:vfs_read (file,f_path)$arg1->f_flags",
        ),
        ("kprobe:vfs_read x=str(buf)", "VALUE:ustring", "kprobe:vfs_read x=buf:ustring"),
        ("kprobe:vfs_read kstack()", "kstack, without brackets", "kprobe:vfs_read kstack"),
        ("kprobe:vfs_read x=sizeof(int)", "write the number", "kprobe:vfs_read x=4"),
    ],
)
def test_what_it_says_is_taken(wrong: str, hint: str, right: str) -> None:
    assert hint in (complaint(wrong, TARGET).hint or "")
    assert compiled(right, target=TARGET)


@pytest.mark.parametrize(
    ("wrong", "listed"),
    [
        ("kprobe:vfs_*", "bpfprobe list 'kprobe:vfs_*'"),
        ("kretprobe:vfs_rea?", "bpfprobe list 'kprobe:vfs_rea?'"),
        ("p vfs_*", "bpfprobe list 'kprobe:vfs_*'"),
        ("tracepoint:syscalls:sys_enter_*", "bpfprobe list 'tracepoint:syscalls:sys_enter_*'"),
        ("usdt:python3:*:g*", "bpfprobe list 'usdt:python3:*:g*'"),
        ("syscall:open*", "bpfprobe list 'syscall:open*'"),
    ],
)
def test_a_pattern_is_called_one(wrong: str, listed: str) -> None:
    found = complaint(wrong, TARGET)
    assert found.code == "BAD_PROBE_ADDR"
    assert found.message.startswith("this is a pattern")
    assert (found.hint or "").startswith(listed)


@pytest.mark.parametrize("kind", ["interval:s:1", "profile:hz:99", "rawtracepoint:sched_switch"])
def test_kinds_that_have_no_like_here(kind: str) -> None:
    found = complaint(kind, TARGET)
    assert found.code == "BAD_PROBE"
    assert "library" not in (found.hint or "")


def test_what_cannot_be_probed_is_not_proposed() -> None:
    found = complaint("kprobe:vfs_raed", TARGET)
    assert "vfs_read" in (found.hint or "")
    assert "vfs_reed" not in (found.hint or "")


@pytest.mark.parametrize("call", ["container_of(a, b, c)", "offsetof(struct file, f_pos)", "max()"])
def test_a_call_of_no_function_is_not_an_open_bracket(call: str) -> None:
    found = complaint(f"kprobe:vfs_read x={call}", TARGET)
    assert found.message == f"there is no function {call.partition('(')[0]}"


def test_a_file_here_of_the_name_of_a_program_is_mentioned() -> None:
    target = StaticTarget(binaries={"/usr/bin/test": ["main"], "./test": ["main"]})
    found = complaint("uprobe:test:0x620000", target)
    assert "./test is another file" in (found.hint or "")
    assert complaint("uprobe:/usr/bin/test:0x620000", target).hint.count("another") == 0
