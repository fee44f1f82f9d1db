"""What a thread is doing in the kernel now."""

from __future__ import annotations

from functools import cache

from bpfprobe.target.pid_namespace import has_initial_numbers


def thread_is_inside(tid: int, function: str) -> bool | None:
    """Whether the kernel stack of a thread has the function on it; False for one that has ended.

    ``tid`` is that of the initial namespace. None where it cannot be told: /proc/PID/stack needs
    root and CONFIG_STACKTRACE, a thread that runs shows none, a function of user space (an empty
    name) is on no kernel stack, the scheduler's own are left out of it, a processor's idle thread
    (0) has none, and in another namespace threads have other numbers.
    """
    if not tid or not has_initial_numbers():
        return None
    try:
        with open(f"/proc/{tid}/stack", encoding="ascii", errors="replace") as lines:
            frames = lines.read()
    except (FileNotFoundError, ProcessLookupError):
        return False
    except OSError:
        return None
    if not function or not frames.strip():
        return None
    if any(line.partition("] ")[2].partition("+")[0] == function for line in frames.split("\n")):
        return True
    return None if function in _scheduler_functions() else False


@cache
def _scheduler_functions() -> frozenset[str]:
    """The functions that /proc/PID/stack leaves out (in_sched_functions() of kernel/sched/core.c).

    They stand in .sched.text.
    """
    try:
        with open("/proc/kallsyms", encoding="utf-8", errors="replace") as file:
            return between(file.read())
    except OSError:
        return frozenset()


def between(kallsyms: str) -> frozenset[str]:
    """The names from __sched_text_start to __sched_text_end; those of the kernel are in order."""
    start = kallsyms.find(" __sched_text_start\n")
    end = kallsyms.find(" __sched_text_end\n", start)
    if start < 0 or end < 0:
        return frozenset()
    lines = kallsyms[start:end].split("\n")[1:-1]
    return frozenset(line.split()[2] for line in lines)
