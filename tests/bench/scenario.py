"""One exec, one open and one connect, as the programs of either side meet them in memory."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import bpfprobe as bp
from bpfprobe.testing import StaticTarget
from tests.machine.machine import Task
from tests.machine.probes import registers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.machine.memory import Memory

TASK = Task(pid=4099, tid=4111, uid=1009, comm="worker")
PARENT = 2003
PATH = b"/usr/lib/x86_64-linux-gnu/libc.so.6"
WORDS = (b"/usr/bin/ls", b"-l", b"--color=auto", b"/usr/share/doc")
DESCRIPTOR = 17
LOCAL, REMOTE = 0x0100007F, 0x0B16212C
LOCAL_PORT, REMOTE_PORT = 40009, 0xBB01  # the second in network order: 443

USER, KERNEL = 0x5555_0000_0000, 0xFFFF_8881_0000_0000
STACK = 0xFFFF_C900_0010_0000
"""Where the return address stands when a probed function begins."""

TARGET = StaticTarget(
    functions=[
        "long __x64_sys_execve(const struct pt_regs *regs)",
        "long __x64_sys_openat(const struct pt_regs *regs)",
        "int tcp_v4_connect(struct sock *sk, struct sockaddr *uaddr, int addr_len)",
    ],
    structs={
        "task_struct": "struct mm_struct *mm; int pid; int tgid; struct task_struct *real_parent;",
        "mm_struct": "unsigned long arg_start; unsigned long arg_end;",
        "sock_common": (
            "u32 skc_daddr; u32 skc_rcv_saddr; u32 skc_hash; u16 skc_dport; u16 skc_num;"
        ),
        "sock": "struct sock_common __sk_common;",
        "sockaddr": "unsigned short sa_family; char sa_data[14];",
    },
    tracepoints={
        "syscalls:sys_enter_openat": [
            "long __syscall_nr",
            *("unsigned long dfd", "const char *filename", "unsigned long flags"),
            "unsigned long mode",
        ],
        "syscalls:sys_exit_openat": ["long __syscall_nr", "long ret"],
        "syscalls:sys_enter_execve": [
            "long __syscall_nr",
            *("const char *filename", "const char *const *argv", "const char *const *envp"),
        ],
        "syscalls:sys_exit_execve": ["long __syscall_nr", "long ret"],
    },
)
"""The structures as bpfprobe is told of them; bcc has those of its headers."""

MEMBERS = {
    "execsnoop": ("task_struct.real_parent", "task_struct.tgid"),
    "opensnoop": (),
    "tcpconnect": tuple(
        f"sock.__sk_common.{name}"
        for name in ("skc_daddr", "skc_rcv_saddr", "skc_dport", "skc_num")
    ),
}
OUR_PROBES = {
    "execsnoop": bp.syscall(
        "execve",
        filter="retval == 0",
        captures={"args": "argv", "ret": "retval:s32", "ppid": "ppid", "uid": "uid"},
    ),
    "opensnoop": bp.syscall("openat", path="filename", fd="retval:s32", uid="uid"),
    "tcpconnect": bp.kretprobe(
        "tcp_v4_connect",
        filter="$retval == 0",
        uid="uid",
        saddr="sk->__sk_common.skc_rcv_saddr",
        daddr="sk->__sk_common.skc_daddr",
        lport="sk->__sk_common.skc_num",
        dport="sk->__sk_common.skc_dport",
    ),
}


def our_offsets() -> dict[str, int]:
    """Where the members are that the programs of bpfprobe read."""
    found = {}
    for name, path in (
        ("task_struct", "task_struct"),
        ("mm_struct", "mm_struct"),
        ("sock_common", "sock.__sk_common"),
    ):
        made = TARGET.struct(name)
        assert made is not None
        found |= {f"{path}.{member.name}": member.offset for member in TARGET.members(made)}
    return found


def furnish(memory: Memory, offsets: Mapping[str, int]) -> None:
    """Put the task, its parent, its strings and a socket where the scenario has them."""
    words = b"".join(word + b"\0" for word in WORDS)
    memory.place(USER, words.ljust(4096, b"\0"))
    memory.place(USER + 0x10000, PATH + b"\0")
    places = [USER + words.index(word + b"\0") for word in WORDS]
    memory.place(USER + 0x20000, struct.pack(f"<{len(places) + 1}Q", *places, 0))
    structs = {
        TASK.address: {
            "task_struct.mm": (KERNEL, 8),
            "task_struct.tgid": (TASK.pid, 4),
            "task_struct.real_parent": (KERNEL + 0x10000, 8),
        },
        KERNEL: {
            "mm_struct.arg_start": (USER, 8),
            "mm_struct.arg_end": (USER + len(words), 8),
        },
        KERNEL + 0x10000: {"task_struct.tgid": (PARENT, 4)},
        KERNEL + 0x20000: {
            "sock.__sk_common.skc_daddr": (REMOTE, 4),
            "sock.__sk_common.skc_rcv_saddr": (LOCAL, 4),
            "sock.__sk_common.skc_dport": (REMOTE_PORT, 2),
            "sock.__sk_common.skc_num": (LOCAL_PORT, 2),
        },
    }
    for address, members in structs.items():
        data = bytearray(16384)
        for name, (number, size) in members.items():
            if name in offsets:
                data[offsets[name] : offsets[name] + size] = number.to_bytes(size, "little")
        memory.place(address, data)
    memory.place(KERNEL + 0x30000, registers(di=0xFFFF_FF9C, si=USER + 0x10000, dx=0o2000000))
    memory.place(KERNEL + 0x40000, registers(di=USER, si=USER + 0x20000))


ENTRIES = {
    "execsnoop": registers(di=KERNEL + 0x40000, sp=STACK),
    "opensnoop": registers(di=KERNEL + 0x30000, sp=STACK),
    "tcpconnect": registers(di=KERNEL + 0x20000, sp=STACK),
}
"""The registers at the entry of what is probed."""

RETURNS = {
    "execsnoop": registers(ax=0, sp=STACK + 8),
    "opensnoop": registers(ax=DESCRIPTOR, sp=STACK + 8),
    "tcpconnect": registers(ax=0, sp=STACK + 8),
}
