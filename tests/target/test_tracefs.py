from __future__ import annotations

import pytest

from bpfprobe.model.machine import TracepointField
from bpfprobe.target import tracefs

MOUNTS = """\
proc /proc proc rw 0 0
debugfs /sys/kernel/debug debugfs rw 0 0
tracefs /mnt/a\\040b tracefs rw 0 0
"""

FORMAT = """\
name: sched_process_exec
ID: 311
format:
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;
\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;

\tfield:__data_loc char[] filename;\toffset:8;\tsize:4;\tsigned:0;
\tfield:pid_t pid;\toffset:12;\tsize:4;\tsigned:1;

print fmt: "filename=%s pid=%d old_pid=%d", __get_str(filename), REC->pid, REC->old_pid
"""


def test_mounts() -> None:
    found = list(tracefs.mounts_of(("tracefs", "debugfs"), MOUNTS.splitlines()))
    assert found == [("debugfs", "/sys/kernel/debug"), ("tracefs", "/mnt/a b")]


def test_a_format_without_its_common_fields() -> None:
    found = tracefs.read_format("sched", "sched_process_exec", 311, FORMAT.splitlines())
    assert [(field.name, field.offset) for field in found.fields] == [("filename", 8), ("pid", 12)]
    assert tracefs.read_event_id(FORMAT) == 311
    assert tracefs.read_event_id("58\n") == 58
    assert tracefs.read_event_id("") == 0


def field(name: str, declaration: str, size: int, signed: bool = False, **more: object) -> object:
    return TracepointField(name, declaration, 8, size, signed, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "expected",
    [
        field("pid", "pid_t pid", 4, True),
        field("comm", "char comm[16]", 16, is_string=True, element_size=1),
        field("comm", "char comm[TASK_COMM_LEN]", 16, is_string=True, element_size=1),
        field("dest", "u8 dest[6]", 6, element_size=1),
        field("args", "unsigned long args[6]", 48, element_size=8),
        field("odd", "struct pair odd[3]", 24, element_size=8),
        field("filename", "const char * filename", 8, is_pointer=True),
        field("skb", "struct sk_buff *skb", 8, is_pointer=True),
        field(
            "name", "__data_loc char[] name", 4, is_string=True, is_dynamic=True, element_size=1
        ),
        field(
            "name", "__rel_loc char[] name", 4,
            is_string=True, is_dynamic=True, relative=True, element_size=1,
        ),
        field("buf", "__data_loc unsigned long[] buf", 4, is_dynamic=True, element_size=8),
        field("raw", "__data_loc u8[] raw", 4, is_dynamic=True, element_size=1),
        field("addr", "__data_loc struct sockaddr_in6[] addr", 4, is_dynamic=True),
    ],
    ids=lambda expected: expected.declaration,
)  # fmt: skip
def test_a_field_is_read_from_its_declaration(expected: TracepointField) -> None:
    assert tracefs.read_field(expected.declaration, 8, expected.size, expected.signed) == expected


def test_the_list_of_traceable_functions_is_searched_by_whole_lines() -> None:
    functions = tracefs.FunctionList(b"vfs_read\nnf_ct_delete [nf_conntrack]\nlast\n")
    assert [functions.has(name) for name in ("vfs_read", "nf_ct_delete", "last")] == [True] * 3
    assert not any(functions.has(name) for name in ("vfs_rea", "fs_read", "ct_delete", "conn"))
    assert not tracefs.FunctionList(b"").has("vfs_read")


def test_the_blacklist() -> None:
    lines = ["0xffffffff81000000-0xffffffff81000010\tnotify_die", "0x0-0x0\tf [mod]", ""]
    assert tracefs.read_blacklist(lines) == {"notify_die", "f"}
