"""Lines of trace(8)'s manual page, its --help and its examples, and how bcc 0.26 and we differ.

Functions that kernels have renamed since are put in by their names of today (do_sys_openat2 for
do_sys_open, __x64_sys_clock_nanosleep for SyS_nanosleep).
"""

from __future__ import annotations

from dataclasses import dataclass, field

ROUNDS = 7
LONG = "z" * 99
CUT = "z" * 80
OPENED = {
    "/etc/hostname": ROUNDS, "test.txt": 2, "test.txt.bak": 1, "test": 1, "config.txt": 1,
    "forty-two": 1, "/dev/zero": 1, "/proc/self/ns/mnt": 1,
}  # fmt: skip
"""What the workload opens, how often; and once a name of 99 letters."""


@dataclass(frozen=True)
class Group:
    """Lines that one process of each tracer is given, with these options.

    ``sure`` are rows (FUNC and message) that ours must have so often. ``ours`` and ``theirs`` are
    rows that only one of the two has, by the mistake of trace(8)'s in docs/trace8.md that they come
    from. ``front`` is what stands before PID.
    """

    lines: tuple[str, ...]
    options: tuple[str, ...] = ()
    sure: dict[str, int] = field(default_factory=dict)
    ours: dict[str, dict[str, int]] = field(default_factory=dict)
    theirs: dict[str, dict[str, int]] = field(default_factory=dict)
    front: str = ""


def rows(function: str, prefix: str = "") -> dict[str, int]:
    """A row for each name that the workload opens."""
    return {f"{function} {prefix}{name}": count for name, count in OPENED.items()}


KERNEL = Group(
    lines=(
        "do_sys_open",
        "::do_sys_openat2 \"%s\", arg2@user",
        'do_sys_openat2 "plain %s", arg2',
        'r::do_sys_openat2 "%llx", retval',
        'vfs_read (arg3 > 20000) "read %d bytes", arg3',
        "p::__x64_sys_clock_nanosleep(int clock, int flags, struct __kernel_timespec *ts) "
        '"sleep for %lld ns", ts->tv_nsec',
        "udp_sendmsg(struct sock *sk) (sk->sk_dport == 13568)",
        't:syscalls:sys_enter_read (args->count > 20000) "%d", args->count',
    ),
    options=("-I", "net/sock.h"),
    sure=rows("do_sys_openat2") | {
        "do_sys_openat2 fffffffffffffffe": 7,
        "vfs_read read 20001 bytes": 1,
        "vfs_read read 65536 bytes": 1,
        "udp_sendmsg": 2,
        "sys_enter_read 20001": 1,
        **{f"__x64_sys_clock_nanosleep sleep for {1000 + n} ns": 1 for n in range(ROUNDS)},
    },
    ours={
        "cut": {f"do_sys_openat2 {CUT}...": 1},
        "user-memory": rows("do_sys_openat2", "plain ") | {f"do_sys_openat2 plain {CUT}...": 1},
    },
    theirs={
        "cut": {f"do_sys_openat2 {CUT}": 1},
        "user-memory": {"do_sys_openat2 plain": sum(OPENED.values()) + 1},
    },
)  # fmt: skip

MORE = {
    "kernel": Group(
        lines=(
            'r::__kmalloc (retval == 0) "kmalloc failed!"',
            'vfs_read+0x5 (ctx->dx == 33) "at %d", ctx->dx',
            'p::__x64_sys_clock_nanosleep "%d", arg2',
            'mntns_install "users = %d", $task->fs->users',
            'vfs_read (arg3 == 33 && $uid == 0 && $pid == $tgid) "%d %u %hd %x %lx %lld %%", arg3, '
            "arg3, arg3, arg3, arg3, arg3",
            "p::vfs_read(struct file *file, char *buf, size_t count) ((count & 0xf0) == 0x20) "
            '"%lu", count',
            'p::vfs_open(struct path *path) "opens %s", path->dentry->d_name.name',
            'vfs_open "%K", ctx->ip',
            'vfs_write (arg3 == 18) "<%c>", 65',
        ),
        options=("-I", "linux/fs_struct.h"),
        sure={
            "vfs_read at 33": ROUNDS,
            "mntns_install users = 1": 1,
            "vfs_read 33 33 33 21 21 33 %": ROUNDS,
            "vfs_read 33": ROUNDS,
            "__x64_sys_clock_nanosleep 0": ROUNDS,
        },
        ours={"characters": {"vfs_write <A>": 1}, "symbols": {"vfs_open vfs_open+0x1": 9}},
        theirs={"symbols": {"vfs_open b'vfs_open+0x1'": 9}},
    ),
    "user": Group(
        lines=(
            'c:open (arg2 == 42) "%s %d", arg1, arg2',
            'p:c:write (arg1 == 1) "writing %d bytes to STDOUT", arg3',
            'r:c:malloc (retval) "allocated = %x", retval',
            ':c:malloc (arg1 > 4240 && arg1 < 4248) "size = %d", arg1',
            'p:c:open (STRCMP("test.txt", arg1)) "opening %s", arg1',
            'p:c:open(char *filename, int flags) (flags == 42) "named %s", filename',
            'r:c:read ((int)retval < 0) "read failed: %d", retval',
            "c:setns (arg2 == 0x20000)",
            ':c:socket(int domain, int type) (domain == 2) "type %d", type',
        ),
        sure={
            "open forty-two 42": 1,
            "open opening test.txt": 2,
            "open named forty-two": 1,
            "read read failed: -1": ROUNDS,
            "setns": 1,
            "socket type 524290": 1,
            **{f"write writing {17 + n} bytes to STDOUT": 1 for n in range(ROUNDS)},
            **{f"malloc size = {4241 + n}": 1 for n in range(ROUNDS)},
        },
        theirs={"prefixes": {"open opening test.txt.bak": 1}},
    ),
    "clock": Group(
        lines=('do_sys_openat2 "%s", arg2@user',),
        options=("-T", "-C", "-n", "ytho"),
        sure=rows("do_sys_openat2"),
        ours={"cut": {f"do_sys_openat2 {CUT}...": 1}},
        theirs={"cut": {f"do_sys_openat2 {CUT}": 1}},
        front=r"\d\d:\d\d:\d\d \d+ +",
    ),
    "offset": Group(
        lines=('do_sys_openat2 "%s", arg2@user',),
        options=("-t", "--uid", "0", "-f", "config"),
        sure={"do_sys_openat2 config.txt": 1},
        front=r"\d+\.\d+ +",
    ),
    "unix": Group(
        lines=('do_sys_openat2 "%s", arg2@user',),
        options=("-t", "-u", "-Z", "5"),
        sure={"do_sys_openat2 test": 1},
        ours={"cut": {
            "do_sys_openat2 /etc/...": 7, "do_sys_openat2 test....": 3,
            "do_sys_openat2 confi...": 1, "do_sys_openat2 forty...": 1,
            "do_sys_openat2 /dev/...": 1, "do_sys_openat2 /proc...": 1,
            "do_sys_openat2 zzzzz...": 1,
        }},
        theirs={"cut": {
            "do_sys_openat2 /etc/": 7, "do_sys_openat2 test.": 3, "do_sys_openat2 confi": 1,
            "do_sys_openat2 forty": 1, "do_sys_openat2 /dev/": 1, "do_sys_openat2 /proc": 1,
            "do_sys_openat2 zzzzz": 1,
        }},
        front=r"1\d{9}\.\d+ +",
    ),
    "kernel stacks": Group(lines=("mntns_install", "vfs_open"), options=("-K",)),
    "user stacks": Group(lines=("p:c:setns",), options=("-U", "-a")),
    "counted": Group(
        lines=('vfs_read (arg3 == 33) "%d", arg3',),
        options=("-A", "-M", str(ROUNDS)),
        sure={"vfs_read 33": 1, "-->COUNT 7": 1},
    ),
    "bytes": Group(
        lines=(
            "__x64_sys_setsockopt(int fd, int level, int optname, char* optval, int optlen)"
            '(level==0 && optname == 1 && STRCMP("{0x6C, 0x00, 0x00, 0x00}", optval)) "found"',
        ),
        options=("-M", "2", "--bin_cmp"),
        sure={"__x64_sys_setsockopt found": 2},
    ),
    "thread": Group(
        lines=('p::do_sys_openat2 (arg1 == -100) "%s", arg2@user', "c:open"),
        options=("-L", "TID", "-S", "-b", "128"),
        ours={"registers": rows("do_sys_openat2") | {f"do_sys_openat2 {CUT}...": 1}},
    ),
}  # fmt: skip

REFUSED = {
    'sys_read (arg3 > 20000) "read %d bytes", arg3': "syscall-names",
    'vfs_write "%d%d", arg3, arg3': "neighbours",
    "trace_no_such_function": "",
    "u:pthread:pthread_create (arg4 != 0)": "",
}
"""Lines that bcc 0.26 refuses on Linux 6.1; with a mistake those that we do not."""
