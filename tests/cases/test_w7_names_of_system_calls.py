"""A system call goes by its name in the manual, to what this kernel and its C library call."""

from __future__ import annotations

from typing import Any

import pytest

from bpfprobe.model.bound import SyscallSites
from bpfprobe.model.noun import replace
from bpfprobe.model.scalar import S32
from bpfprobe.model.value import ByPlace, SyscallArgument, View
from bpfprobe.testing.static_target import FACTS
from tests.sample_machine import NO, bound, complaint, machine, one_plan

FIELDS = {
    "read": ["unsigned int fd", "char *buf", "size_t count"],
    "newstat": ["const char *filename", "struct stat *statbuf"],
    "newlstat": ["const char *filename", "struct stat *statbuf"],
    "newfstat": ["unsigned int fd", "struct stat *statbuf"],
    "newfstatat": ["int dfd", "const char *filename", "struct stat *statbuf", "int flag"],
    "newuname": ["struct new_utsname *name"],
    "umount": ["char *name", "int flags"],
    "wait4": ["pid_t upid", "int *stat_addr", "int options", "struct rusage *ru"],
    "tgkill": ["pid_t tgid", "pid_t pid", "int sig"],
    "setpriority": ["int which", "int who", "int niceval"],
    "chown": ["const char *filename", "uid_t user", "gid_t group"],
    **{
        name: ["int fd"]
        for name in (
            "sendfile64", "pread64", "pwrite64", "prlimit64", "fadvise64", "pselect6",
            "rt_sigaction", "rt_sigprocmask", "sendto", "recvfrom", "exit_group", "fcntl", "futex",
        )
    },
}  # fmt: skip
DEAD = ("uname", "stat", "nice", "waitpid", "send", "signal", "spu_create", "sendfile", "ipc")


def the_machine(*, wrappers: bool = True, without: tuple[str, ...] = (), **changes: Any) -> Any:
    served = {name: fields for name, fields in FIELDS.items() if name not in without}
    names = (*served, *DEAD) if wrappers else ()
    return machine(
        functions=[f"long __x64_sys_{name}(const struct pt_regs *regs)" for name in names],
        tracepoints={
            f"syscalls:sys_{kind}_{name}": ["long __syscall_nr", *(fields if enters else [])]
            for name, fields in served.items()
            for kind, enters in (("enter", True), ("exit", False))
        },
        **changes,
    )


TARGET = the_machine()


def entries(text: str, target: Any = TARGET) -> list[str]:
    found = bound(text, target)
    sites = (found.site, *found.more_sites)
    return [
        site.wrapper.removeprefix("__x64_sys_") for site in sites if isinstance(site, SyscallSites)
    ]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("uname", "newuname"), ("sendfile", "sendfile64"), ("umount2", "umount"),
        ("pread", "pread64"), ("pwrite", "pwrite64"), ("fstatat", "newfstatat"),
        ("prlimit", "prlimit64"), ("posix_fadvise", "fadvise64"), ("pselect", "pselect6"),
        ("sigaction", "rt_sigaction"), ("sigprocmask", "rt_sigprocmask"), ("waitpid", "wait4"),
        ("send", "sendto"), ("recv", "recvfrom"), ("_exit", "exit_group"), ("fcntl64", "fcntl"),
        ("chown32", "chown"), ("futex_time64", "futex"),
        ("stat", "newstat newfstatat"), ("lstat64", "newlstat newfstatat"),
        ("fstat", "newfstat newfstatat"), ("newfstatat", "newfstatat"), ("read", "read"),
    ],
)  # fmt: skip
def test_where_a_name_leads(name: str, found: str) -> None:
    assert entries(f"syscall:{name}") == found.split()
    assert entries(f"syscall:{name}%return") == found.split()


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("nice", "syscall:setpriority"), ("signal", "syscall:rt_sigaction"),
        ("ipc", "syscall:semop"), ("spu_create", "bpfprobe list"),
        ("newstatt", "did you mean newstat"), ("unamed", "newuname"),
    ],
)  # fmt: skip
def test_what_nothing_calls_is_refused_with_what_is_called(name: str, instead: str) -> None:
    found = complaint(f"syscall:{name}", TARGET)
    assert found.code == "BAD_PROBE_ADDR"
    assert instead in (found.hint or "")


def test_arguments_by_the_names_of_the_manual() -> None:
    assert bound("syscall:tgkill tid", TARGET).captures[0].value == View(SyscallArgument(2), S32)
    assert bound("syscall:waitpid pid", TARGET).captures[0].value == View(SyscallArgument(1), S32)


def test_each_entry_point_has_its_arguments_where_it_has_them() -> None:
    found = bound("syscall:stat p=$arg1:x64 b=$arg2", TARGET)
    values = [capture.value for capture in found.captures]
    assert [value.values for value in values if isinstance(value, ByPlace)] == [
        (SyscallArgument(1), SyscallArgument(2)), (SyscallArgument(2), SyscallArgument(3)),
    ]  # fmt: skip
    assert complaint("syscall:stat $arg3", TARGET).code == "NO_BTFARG"
    assert complaint("syscall:stat%return p=entry($arg1)", TARGET).code == "BAD_FETCH_ARG"


def test_both_mechanisms_go_to_every_entry_point() -> None:
    for target, kind in ((TARGET, "kprobe"), (the_machine(wrappers=False), "tracepoint")):
        entry = one_plan("syscall:lstat filename", target)
        assert [str(site).split(":")[0] for site in (entry.site, *entry.more_sites)] == [kind] * 2
        leave = one_plan("syscall:lstat filename retval", target)
        assert leave.pairing is not None
        assert len({str(leave.pairing.site), *map(str, leave.pairing.more_sites)}) == 2
        assert leave.program_at(0) != leave.program_at(1)


def test_a_kernel_that_has_one_of_them() -> None:
    only_at = the_machine(without=("newstat", "newlstat"))
    assert entries("syscall:stat filename if filename.ustring == 'x'", only_at) == ["newfstatat"]
    value = bound("syscall:stat p=$arg1:x64", only_at).captures[0].value
    assert value == SyscallArgument(2)
    assert entries("syscall:uname", the_machine(facts=replace(FACTS, tracefs=NO))) == ["newuname"]
