"""Captures and filters at kernel functions, against what the workload knows about itself.

There are no kernel headers here and no modules directory: all types come from the kernel's BTF.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import socket
import subprocess
from pathlib import Path

import pytest

import bpfprobe as bp
from bpfprobe.target.live import LiveTarget

pytestmark = pytest.mark.guest(shares=True)

SO_NO_CHECK = 11  # <asm-generic/socket.h>
CGROUP2, SYSFS = 0x63677270, 0x62656572  # the magic numbers of <linux/magic.h>
MAGIC = "((struct kernfs_open_file *)$arg1)->file->f_inode->i_sb->s_magic"


@pytest.fixture(autouse=True)
def _only_btf():
    assert not Path("/lib/modules").exists()
    assert not list(Path("/usr/src").iterdir())


def watch(probes, act):
    """The events of a process that does nothing but ``act``, a list for each probe."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.read(read, 1)
            act()
            os._exit(0)
        finally:
            os._exit(1)
    with bp.Session(*probes, pid=child) as session:
        os.write(write, b"!")
        assert os.waitpid(child, 0)[1] == 0
        events = list(session.events(duration=0))
        statistics = session.statistics()
    os.close(read)
    os.close(write)
    assert statistics.delivered == statistics.produced
    assert statistics.complete
    assert {event.pid for event in events} == {child}
    return [[event for event in events if event.probe == probe.name] for probe in probes]


def columns(events, *names):
    return [tuple(getattr(event, name) for name in names) for event in events]


def function_of(*names):
    """The first that this kernel has."""
    return next(name for name in names if LiveTarget().symbols(name))


def open_often(path, times):
    for _ in range(times):
        os.close(os.open(path, os.O_RDONLY))


def test_files_of_cgroup2_by_the_magic_of_their_file_system(tmp_path):
    """cgroup_file_open() sees the files of both versions, kernfs_fop_open() also sysfs."""
    subprocess.run(["mount", "-t", "cgroup", "-o", "none,name=first", "none", tmp_path], check=True)

    def act():
        open_often("/sys/fs/cgroup/cgroup.procs", 23)
        open_often(tmp_path / "cgroup.procs", 17)
        open_often("/sys/kernel/uevent_seqnum", 13)

    of_cgroup2, of_any = watch(
        [
            bp.kprobe("cgroup_file_open", event="v2", magic=MAGIC, filter=f"{MAGIC} == {CGROUP2}"),
            bp.kprobe("cgroup_file_open", event="any", magic=MAGIC, name="of->kn->name"),
        ],
        act,
    )
    assert columns(of_cgroup2, "magic") == [(CGROUP2,)] * 23
    assert len(of_any) == 40
    assert columns(of_any, "name") == [("cgroup.procs",)] * 40
    magic = "file->f_inode->i_sb->s_magic"
    cgroup2, sysfs, other = watch(
        [
            bp.kprobe("kernfs_fop_open", event="cgroup2", filter=f"{magic} == {CGROUP2:#x}"),
            bp.kprobe("kernfs_fop_open", event="sysfs", filter=f"{magic} == {SYSFS:#x}"),
            bp.kprobe(
                "kernfs_fop_open",
                event="other",
                magic=magic,
                type="file->f_inode->i_sb->s_id",
                filter=f"!({magic} == {CGROUP2:#x} || {magic} == {SYSFS:#x})",
            ),
        ],
        act,
    )
    assert [len(cgroup2), len(sysfs), len(other)] == [23, 13, 17]
    assert columns(other, "magic", "type") == [(0x27E0EB, "cgroup")] * 17


def test_members_registers_and_memory_of_a_read(tmp_path):
    path = tmp_path / "a name of more than thirty-two letters"
    path.write_bytes(b"after!!")
    text = bytearray(b"before!\0" + bytes(4091))

    def act():
        with open(path, "rb", buffering=0) as file:
            for _ in range(23):
                text[:7] = b"before!"
                file.seek(0)
                assert file.readinto(text) == 7

    entered, returned = watch(
        [
            bp.kprobe(
                "vfs_read", event="entered", filter="count == 4099",
                name="file->f_path.dentry->d_name.name",
                length="file->f_path.dentry->d_name.len",
                file="$arg1", di="%di", size="%dx", old="buf:ustring", letters="+u0(%si):char",
                bytes="+u0(%si):x8[7]", word="+u1($arg2):u16", kind="file->f_inode->i_mode >> 12",
            ),
            bp.kretprobe(
                "vfs_read", event="returned", filter="count == 4099 && $retval > 0",
                name="file->f_path.dentry->d_name.name",
                new="buf:ustring", old="entry(+u0($arg2)):x64", got="$retval", took="duration",
            ),
        ],
        act,
    )  # fmt: skip
    assert (
        columns(entered, "name", "length", "size", "old", "letters", "bytes", "word")
        == [(path.name, len(path.name), 4099, "before!", "b", tuple(b"before!"), 0x6665)] * 23
    )
    assert all(event.file == event.di > 1 << 63 for event in entered)
    assert columns(entered, "kind") == [(8,)] * 23  # S_IFREG >> 12
    before = int.from_bytes(b"before!\0", "little")
    assert (
        columns(returned, "name", "new", "old", "got") == [(path.name, "after!!", before, 7)] * 23
    )
    assert all(event.took > 0 for event in returned)


def test_open_flags_results_and_kernel_strings(tmp_path):
    there, missing = tmp_path / "there", tmp_path / "missing"
    there.touch()
    flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC

    def act():
        for _ in range(23):
            os.close(os.open(there, flags))
        for _ in range(7):
            with contextlib.suppress(FileNotFoundError):
                os.open(missing, flags)

    opened, failed, looked_up = watch(
        [
            bp.kretprobe(
                "do_sys_openat2",
                event="opened",
                path="filename:ustring",
                fd="$retval:s32",
                flags="how->flags:x64",
                filter="fd >= 0",
            ),
            bp.probe(
                "r:failed do_sys_openat2 path=$arg2:ustring error=$retval:s32 dfd "
                'if error < 0 && path ~ "*/missing"'
            ),
            bp.kprobe(
                function_of("do_filp_open", "do_file_open"),
                name="pathname->name",
                same="+0(+0(%si)):string",
            ),
        ],
        act,
    )
    assert columns(opened, "path") == [(str(there),)] * 23
    assert {event.flags & flags for event in opened} == {flags}
    assert min(event.fd for event in opened) > 2
    assert columns(failed, "path", "error", "dfd") == [(str(missing), -errno.ENOENT, -100)] * 7
    names = [(str(there),) * 2] * 23 + [(str(missing),) * 2] * 7
    assert columns(looked_up, "name", "same") == names


def test_arguments_on_the_stack_and_bit_fields():
    """Of ip_append_data()'s nine arguments three are on the stack; a corked socket calls it."""
    sizes = [11, 101, 1009]
    bits = {
        "reuse": "sk->__sk_common.skc_reuse",
        "reuseport": "sk->__sk_common.skc_reuseport",
        "ipv6only": "sk->__sk_common.skc_ipv6only",
        "unchecked": "sk->sk_no_check_tx",
        "family": "sk->__sk_common.skc_family",
    }
    stack = {"to": "((struct ipcm_cookie *)$arg7)->addr:x32", "flags": "flags"}

    def act():
        for size in sizes:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                sender.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, size & 1)
                sender.connect(("127.0.0.1", 9))
                sender.send(bytes(size), socket.MSG_MORE)

    entered, returned = watch(
        [
            bp.kprobe(
                "ip_append_data",
                event="entered",
                captures={"length": "length", "header": "$arg6", "last": "$arg9:u32"}
                | stack
                | bits,
            ),
            bp.kretprobe("ip_append_data", event="returned", result="$retval:s32", **stack),
        ],
        act,
    )
    seen = columns(entered, "length", "header", "to", "flags", "last")
    more = int(socket.MSG_MORE)
    assert seen == [(size + 8, 8, 0x0100007F, more, more) for size in sizes]
    assert columns(entered, *bits) == [(0, 1, 0, size & 1, socket.AF_INET) for size in sizes]
    assert columns(returned, "result", "to", "flags") == [(0, 0x0100007F, more)] * len(sizes)


def test_a_kernel_function_inside_itself(tmp_path):
    """Opening a file of an overlay opens the one below while the first is still being opened."""
    (module,) = Path("/run/bpfprobe/modules").glob("*-overlay.ko")
    subprocess.run(["insmod", module], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "none", tmp_path], check=True)
    for name in ("lower", "lowest", "merged"):
        (tmp_path / name).mkdir()
    (tmp_path / "lower" / "file").touch()
    option = f"lowerdir={tmp_path}/lower:{tmp_path}/lowest"
    subprocess.run(
        ["mount", "-t", "overlay", "none", "-o", option, tmp_path / "merged"], check=True
    )
    file = "((struct file *)$arg1)"
    probe = bp.kretprobe(
        "do_dentry_open",
        type=f"{file}->f_inode->i_sb->s_id",
        at_entry="entry($arg1)",
        file="$arg1",
        name=f"{file}->f_path.dentry->d_name.name",
        took="duration",
        result="$retval:s32",
    )
    (events,) = watch([probe], lambda: open_often(tmp_path / "merged" / "file", 23))
    inner, outer = events[::2], events[1::2]
    assert columns(inner, "type", "name", "result") == [("tmpfs", "file", 0)] * 23
    assert columns(outer, "type", "name", "result") == [("overlay", "file", 0)] * 23
    assert all(event.file == event.at_entry for event in events)
    assert all(a.took < b.took and a.file != b.file for a, b in zip(inner, outer, strict=True))


def test_an_empty_string_of_a_program_is_no_fault():
    """Old kernels say 0 of its length, as if not even a NUL had been read."""
    texts = [ctypes.create_string_buffer(text) for text in (b"", b"a")] * 23
    addresses = [*map(ctypes.addressof, texts), 8]
    syscall = ctypes.CDLL(None).syscall

    def act():
        for address in addresses:
            syscall(ctypes.c_long(157), ctypes.c_long(-1), ctypes.c_long(address))

    (events,) = watch([bp.probe("p:e __x64_sys_prctl text=+u0(+104(%di)):ustring")], act)
    assert columns(events, "text") == [("",), ("a",)] * 23 + [(None,)]
    assert [event.faults for event in events] == [frozenset()] * 46 + [{"text"}]
