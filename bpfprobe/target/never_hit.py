"""What may be the reason that a probe was never hit, where the machine tells."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bpfprobe.model.site import KernelSite, TracepointSite, UserSite, UserSites
from bpfprobe.target.identity import switch_state, switches

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfprobe.model.site import Site

_OPEN = "the C library opens files by openat (glibc since 2.26): probe do_sys_openat2, or openat"
_STAT = "the C library calls newfstatat (glibc since 2.33)"
_FORK = "the C library makes processes by clone and clone3: probe kernel_clone"
_VDSO = "the vDSO answers it in user space, without a system call (vdso(7))"
_NOT_REACHED = {
    # Linux 5.6, commit fddb5d430ad9: what is left of it is compiled into its callers.
    "do_sys_open": "the system calls go to do_sys_openat2 since Linux 5.6: probe that one",
}
_NOT_CALLED = {
    "open": _OPEN,
    "stat": _STAT,
    "lstat": _STAT,
    "newstat": _STAT,
    "newlstat": _STAT,
    "fork": _FORK,
    "clock_gettime": _VDSO,
    "gettimeofday": _VDSO,
    "time": _VDSO,
    "getcpu": _VDSO,
}
"""System calls that hardly any program makes, and why."""


def why_never_hit(site: Site, opened_ns: int) -> str:
    """Return what may be why a place was never hit, or "" where nothing is known.

    ``opened_ns`` is when it was attached, on the clock of time.time_ns(). For a place in a program
    it looks at the maps of all processes.
    """
    if isinstance(site, KernelSite):
        return _of_kernel(site)
    if isinstance(site, TracepointSite):
        prefix, _, name = site.name.partition("_")
        called = name.partition("_")[2] if prefix == "sys" else ""
        return _NOT_CALLED.get(called, "") if site.category == "syscalls" else ""
    if isinstance(site, UserSite | UserSites):
        return _of_file(site.path, opened_ns)
    return ""


def _of_kernel(site: KernelSite) -> str:
    for path in switches():
        if switch_state(path) == "0":
            return f"kprobes are switched off ({path} is 0)"
    if site.module and not os.path.isdir(f"/sys/module/{site.module}"):  # noqa: PTH112  # as in identity
        return f"the module {site.module} has been unloaded"
    wrapper, _, call = site.function.partition("_sys_")
    if wrapper in ("__x64", "__arm64"):
        return _NOT_CALLED.get(call, "")
    return _NOT_REACHED.get(site.function, "")


def _of_file(path: str, opened_ns: int) -> str:
    try:
        status = os.stat(path)  # noqa: PTH116  # there are many, and it is quicker
    except OSError:
        return f"{path} is not there any more"
    if status.st_ctime_ns > opened_ns:
        return f"{path} has been replaced or changed since it was attached: attach again"
    for pid in _run_deleted(path):
        return f"process {pid} runs a file of that path which is there no more: restart it"
    return ""


def _run_deleted(path: str) -> Iterator[int]:
    """Processes of this mount namespace that run code of a file that was at a path."""
    own, mapped = _namespace("self"), f" {path} (deleted)\n"
    for name in os.listdir("/proc"):  # noqa: PTH208  # names, not paths
        if not name.isdecimal() or _namespace(name) != own:
            continue
        try:
            with open(f"/proc/{name}/maps", encoding="utf-8", errors="surrogateescape") as lines:
                if any(line.endswith(mapped) and "x" in line.split()[1] for line in lines):
                    yield int(name)
        except OSError:  # it has ended, or is not ours to look into
            continue


def _namespace(process: str) -> str:
    try:
        return os.readlink(f"/proc/{process}/ns/mnt")  # noqa: PTH115  # as above
    except OSError:
        return ""
