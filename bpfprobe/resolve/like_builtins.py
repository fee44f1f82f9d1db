"""Arguments of system calls that are called like builtins, for machines without tracefs.

As the tracepoints of Linux 5.10, 6.1 and 7.3 name them. ``argv`` of execve is not among them: the
builtin is the same.
"""

from __future__ import annotations

_OF_PROCESSES = frozenset({
    "get_robust_list", "getpgid", "getsid", "kill", "migrate_pages", "move_pages", "pidfd_open",
    "prlimit64", "process_vm_readv", "process_vm_writev", "ptrace", "rt_sigqueueinfo",
    "rt_tgsigqueueinfo", "sched_getaffinity", "sched_getattr", "sched_getparam",
    "sched_getscheduler", "sched_rr_get_interval", "sched_setaffinity", "sched_setattr",
    "sched_setparam", "sched_setscheduler", "setpgid", "tgkill", "tkill",
})  # fmt: skip
_OTHERS = {
    "modify_ldt": ("func",),
    "perf_event_open": ("pid", "cpu"),
    "setfsgid": ("gid",),
    "setfsuid": ("uid",),
    "setgid": ("gid",),
    "setuid": ("uid",),
}


def like_builtins(call: str) -> tuple[str, ...]:
    """Return the builtins that an argument of this system call has the name of."""
    return _OTHERS.get(call, ("pid",) if call in _OF_PROCESSES else ())
