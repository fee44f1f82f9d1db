"""Which language a description is in."""

from __future__ import annotations

import pytest

import bpfprobe as bp
from bpfprobe.parse.dialect import Dialect, dialect_of, is_kprobe8_filter

OURS, KERNEL, TRACE8 = Dialect.BPFPROBE, Dialect.KERNEL, Dialect.TRACE8


@pytest.mark.parametrize(
    ("text", "dialect"),
    [
        ("kprobe:vfs_read count", OURS),
        ("kretprobe:vfs_read", OURS),
        ("uprobe:/bin/bash:readline", OURS),
        ("opened=kprobe:vfs_read", OURS),
        ("tracepoint:sched:sched_switch next_comm", OURS),
        ("syscall:openat filename", OURS),
        ("usdt:python3:python:gc__start", OURS),
        ("p vfs_read", KERNEL),
        ("p:open do_sys_openat2 dfd=%ax", KERNEL),
        ("p:grp/open do_sys_openat2", KERNEL),
        ("p:tcp_v4_connect", KERNEL),
        ("r:vfs_read", KERNEL),
        ("r10 vfs_read", KERNEL),
        ("r10:name vfs_read $retval", KERNEL),
        ("p:myapp /bin/bash:0x4245c0", KERNEL),
        ("p:x nf_conntrack:nf_ct_delete", KERNEL),
        ("-:gone", KERNEL),
        ("f:enter vfs_read", KERNEL),
        ("t:point sched_switch", KERNEL),
        ("e:each sched/sched_switch", KERNEL),
        ("vfs_read", TRACE8),
        ("do_sys_open", TRACE8),
        ('do_sys_openat2 "%s", arg2@user', TRACE8),
        ("kfree_skb+0x12", TRACE8),
        ("p::vfs_read", TRACE8),
        ("::vfs_read", TRACE8),
        (":c:malloc", TRACE8),
        ("r::__kmalloc (retval == 0)", TRACE8),
        ("c:malloc", TRACE8),
        ("p:c:write (arg1 == 1)", TRACE8),
        ('r:bash:readline "%s", retval', TRACE8),
        ("/bin/bash:readline", TRACE8),
        ("t:block:block_rq_complete", TRACE8),
        ("u:pthread:pthread_create", TRACE8),
        ("p::vfs_read(struct file *file)(file != 0)", TRACE8),
        ("p:kprobe:vfs_read", TRACE8),
        ("vfs_read(struct file *f)", TRACE8),
        ("p(int x)", TRACE8),
        ("pick_next_task", TRACE8),
        ("tcp_connect", TRACE8),
        ("", TRACE8),
    ],
)
def test_the_first_word_tells(text: str, dialect: Dialect) -> None:
    assert dialect_of(text) is dialect
    assert dialect_of(f"  {text}") is dialect


@pytest.mark.parametrize(
    ("words", "is_filter"),
    [
        (["p:open do_sys_open filename=+0(%si):string", 'filename ~ "*stat"'], True),
        (["p:open do_sys_openat2", "common_pid == 42 || common_pid == 43"], True),
        (["p:tcp_v4_connect", "common_pid==42"], True),
        (["p:open do_sys_openat2", "p:read vfs_read"], False),
        (["p:open do_sys_openat2", "kprobe:vfs_read"], False),
        (["p:open do_sys_openat2", "r::vfs_read"], False),
        (["p:open do_sys_openat2", "c:malloc"], False),
        (["p:open do_sys_openat2"], False),
        (["p:a vfs_read", "p:b vfs_write", "count > 3"], False),
        (["kprobe:vfs_read", "count > 3"], False),
    ],
)
def test_the_filter_of_kprobe8_is_no_description(words: list[str], is_filter: bool) -> None:
    assert is_kprobe8_filter(words) is is_filter


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("p:vfs_read", "p:vfs_read vfs_read"),
        ("r:vfs_read $retval", "r:vfs_read vfs_read $retval"),
        ("p:vfs_read size=%dx:u64", "p:vfs_read vfs_read size=%dx:u64"),
        ("p:vfs_read +8(%si)", "p:vfs_read vfs_read +8(%si)"),
        ("p:vfs_read if pid == 4", "p:vfs_read vfs_read if pid == 4"),
        ("p:name vfs_read size=%dx", "p:name vfs_read size=%dx"),
        ("p:name vfs_read+0x4 %dx", "p:name vfs_read+0x4 %dx"),
        ("r:name vfs_read%return", "r:name vfs_read%return"),
        ("p:name /tmp/a=b:0x10", "p:name /tmp/a=b:0x10"),
        ("p vfs_read", "p vfs_read"),
    ],
)
def test_the_short_form_of_kprobe8(short: str, long: str) -> None:
    assert str(bp.probe(short)) == long
