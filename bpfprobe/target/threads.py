"""What a thread is doing in the kernel now."""

from __future__ import annotations

import os
from functools import cache

_INITIAL_PID_NAMESPACE = 0xEFFFFFFC  # PROC_PID_INIT_INO of <linux/proc_ns.h>


def thread_is_inside(tid: int, function: str) -> bool | None:
    """Whether the kernel stack of a thread has the function on it; False for one that has ended.

    ``tid`` is that of the initial namespace. None where it cannot be told: /proc/PID/stack needs
    root and CONFIG_STACKTRACE, a thread that runs shows none, a function of user space (an empty
    name) is on no kernel stack, the scheduler's own are left out of it, a processor's idle thread
    (0) has none, and in another namespace threads have other numbers.
    """
    if not tid or not _has_initial_numbers():
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


def _has_initial_numbers() -> bool:
    """Whether /proc shows threads by the numbers that programs in the kernel see."""
    try:
        return os.stat("/proc/self/ns/pid").st_ino == _INITIAL_PID_NAMESPACE  # noqa: PTH116  # quicker
    except OSError:
        return False


@cache
def _scheduler_functions() -> frozenset[str]:
    """The functions that /proc/PID/stack leaves out (in_sched_functions() of kernel/sched/core.c).

    They stand in .sched.text. Empty where kallsyms does not show addresses.
    """
    symbols: list[tuple[int, str]] = []
    try:
        with open("/proc/kallsyms", encoding="utf-8", errors="replace") as lines:
            for line in lines:
                address, _, name = line.split(None, 3)[:3]
                symbols.append((int(address, 16), name))
    except (OSError, ValueError):
        return frozenset()
    return between(symbols)


def between(symbols: list[tuple[int, str]]) -> frozenset[str]:
    """The names of symbols from __sched_text_start to __sched_text_end, by their addresses."""
    bounds = {name: address for address, name in symbols if name.startswith("__sched_text_")}
    start, end = bounds.get("__sched_text_start", 0), bounds.get("__sched_text_end", 0)
    return frozenset(name for address, name in symbols if start <= address < end)
