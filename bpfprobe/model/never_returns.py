"""Functions that are entered and never left, so that a probe on their return has no events."""

from __future__ import annotations

from bpfprobe.model.site import KernelSite, TracepointSite, UserSite

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bpfprobe.model.site import Site

_OF_KERNEL = frozenset({
    "__module_put_and_kthread_exit", "__module_put_and_exit", "complete_and_exit",
    "cpu_startup_entry", "do_exit", "do_group_exit", "do_task_dead",
    "kthread_complete_and_exit", "kthread_exit", "make_task_dead", "panic", "vpanic",
    "rewind_stack_and_make_dead", "rewind_stack_do_exit", "stop_this_cpu", "__do_sys_exit",
    "__se_sys_exit", "__x64_sys_exit", "__ia32_sys_exit", "__arm64_sys_exit",
    "__do_sys_exit_group", "__se_sys_exit_group", "__x64_sys_exit_group",
    "__ia32_sys_exit_group", "__arm64_sys_exit_group",
})  # fmt: skip
"""Those of tools/objtool/noreturns.h in Linux that run while there is a tracer, their names in
5.10, and what the system calls exit and exit_group are made of. The kernel itself refuses fexit on
such functions (commit cfe816d469dc)."""
_TRACEPOINTS = ("sys_exit_exit", "sys_exit_exit_group")
_OF_LIBC = frozenset({
    "exit", "_exit", "_Exit", "abort", "quick_exit", "pthread_exit", "thrd_exit", "err", "errx",
    "verr", "verrx", "longjmp", "_longjmp", "siglongjmp", "__longjmp_chk", "__assert",
    "__assert_fail", "__assert_perror_fail", "__chk_fail", "__fortify_fail", "__stack_chk_fail",
})  # fmt: skip
"""Functions that <stdlib.h>, <unistd.h> and others declare ``_Noreturn``."""


def never_returning(sites: Iterable[Site]) -> tuple[str, ...]:
    """Return the functions among these returns that never return, each once, in order."""
    return tuple(dict.fromkeys(name for site in sites for name in _names(site)))


def _names(site: Site) -> Iterator[str]:
    if isinstance(site, TracepointSite):
        if site.category == "syscalls" and site.name in _TRACEPOINTS:
            yield site.name.removeprefix("sys_exit_")
    elif not site.returns:
        return
    elif isinstance(site, KernelSite):
        if site.function in _OF_KERNEL:
            yield site.function
    elif _is_libc(site.path):
        names = (site.symbol,) if isinstance(site, UserSite) else site.names
        yield from (name for name in names if name.partition("@")[0] in _OF_LIBC)


def _is_libc(path: str) -> bool:
    return path.rpartition("/")[2].startswith(("libc.so.", "libc-2.", "ld-musl-", "libc.musl-"))
