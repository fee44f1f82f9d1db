"""System calls by their names in the manual -> the entry points of the kernel that serve them.

The names of syscalls(2) are those of the C library. Where the kernel, on 64-bit processors, calls
the same thing otherwise, the tables here say how, as arch/x86/entry/syscalls/syscall_64.tbl and
include/uapi/asm-generic/unistd.h have it.
"""

from __future__ import annotations

from bpfprobe.model.noun import dataclass

AT_FDCWD = -100
AT_SYMLINK_NOFOLLOW = 0x100
AT_EMPTY_PATH = 0x1000


@dataclass(frozen=True, slots=True)
class EntryPoint:
    """A system call of the kernel that serves one of the manual.

    ``arguments`` are the numbers that the manual's arguments have there, in their order; empty
    where they are the same. ``path_flags`` of `AT_SYMLINK_NOFOLLOW` and `AT_EMPTY_PATH`, unless
    None, are those that its fourth argument must have for the call to be this one; without
    `AT_EMPTY_PATH` its first must be `AT_FDCWD`.
    """

    name: str
    arguments: tuple[int, ...] = ()
    path_flags: int | None = None


_OTHER_NAMES = {
    "uname": "newuname", "sendfile": "sendfile64", "umount2": "umount", "pread": "pread64",
    "pwrite": "pwrite64", "fstatat": "newfstatat", "prlimit": "prlimit64",
    "posix_fadvise": "fadvise64", "fadvise": "fadvise64", "pselect": "pselect6",
    "sigaction": "rt_sigaction", "sigprocmask": "rt_sigprocmask", "sigpending": "rt_sigpending",
    "sigsuspend": "rt_sigsuspend", "sigtimedwait": "rt_sigtimedwait",
    "sigreturn": "rt_sigreturn", "waitpid": "wait4", "send": "sendto", "recv": "recvfrom",
    "_exit": "exit_group", "fstatat64": "newfstatat", "fcntl64": "fcntl",
    "truncate64": "truncate", "ftruncate64": "ftruncate", "ugetrlimit": "getrlimit",
    "personality": "arm64_personality",
}  # fmt: skip
"""The arguments of the manual's are the first of the kernel's."""

_FILE_STATUS = {
    # Since 2.33 glibc's stat() and its kin are newfstatat() (commit 30f1c7439489), but for
    # fstat() since 2.39 (commit 551101e8240b); musl and others call what is there.
    "stat": (EntryPoint("newstat"), EntryPoint("newfstatat", (2, 3), 0)),
    "lstat": (EntryPoint("newlstat"), EntryPoint("newfstatat", (2, 3), AT_SYMLINK_NOFOLLOW)),
    "fstat": (EntryPoint("newfstat"), EntryPoint("newfstatat", (1, 3), AT_EMPTY_PATH)),
}

_INSTEAD = {
    "nice": "setpriority", "signal": "rt_sigaction", "stime": "clock_settime", "wait": "wait4",
    "wait3": "wait4", "gethostname": "uname", "_llseek": "lseek", "llseek": "lseek",
    "mmap2": "mmap", "statfs64": "statfs", "fstatfs64": "fstatfs", "old_getrlimit": "getrlimit",
    "sgetmask": "rt_sigprocmask", "ssetmask": "rt_sigprocmask", "olduname": "uname",
    "oldumount": "umount", "ipc": "semop, syscall:msgsnd, syscall:shmat and their kin",
    "socketcall": "socket, syscall:connect, syscall:sendto and their kin",
    "sync_file_range2": "sync_file_range", "old_readdir": "getdents64", "readdir": "getdents64",
    "mmap_pgoff": "mmap", "sigqueue": "rt_sigqueueinfo", "sigwaitinfo": "rt_sigtimedwait",
    "oldstat": "stat", "oldfstat": "fstat", "oldlstat": "lstat", "oldolduname": "uname",
    "setpgrp": "setpgid", "execv": "execve", "_newselect": "select", "getdomainname": "uname",
    "old_adjtimex": "adjtimex", "futimes": "utimensat", "fadvise64_64": "fadvise64",
}  # fmt: skip
"""What the C library calls for these, whose arguments are others."""

_ARGUMENTS = {
    "tgkill": {"tid": 2}, "tkill": {"tid": 1}, "rt_tgsigqueueinfo": {"tid": 2},
    "wait4": {"pid": 1}, "waitpid": {"pid": 1}, "getcpu": {"cpu": 1}, "sched_getcpu": {"cpu": 1},
}  # fmt: skip
OF_THE_MANUAL = (*_OTHER_NAMES, *_FILE_STATUS)
"""Names that have another in the kernel."""


def manual_arguments(name: str) -> dict[str, int]:
    """Return arguments by the manual's names, where those are builtins and not the kernel's."""
    return _ARGUMENTS.get(name, {})


def entry_points(name: str) -> tuple[EntryPoint, ...]:
    """Return the entry points that may serve a call of the manual, the kernel's own name first."""
    plain = _without_width(name)
    if plain in _FILE_STATUS:
        return _FILE_STATUS[plain]
    other = _OTHER_NAMES.get(plain) or _OTHER_NAMES.get(name)
    names = dict.fromkeys([other, name] if other else [name, plain])
    return tuple(EntryPoint(one) for one in names)


def instead_of(name: str) -> str:
    """Return what is called in place of a system call that nothing calls, "" if not known."""
    return _INSTEAD.get(name, "")


def _without_width(name: str) -> str:
    """The name without what 32-bit processors have at its end: ``chown32``, ``futex_time64``."""
    if name.endswith(("_time64", "_time32")):
        return name[: -len("_time64")]
    for suffix in ("64", "32", "16"):
        plain = name.removesuffix(suffix)
        if plain != name and (suffix != "64" or plain in {*_FILE_STATUS, "clock_gettime"}):
            return plain
    return name
