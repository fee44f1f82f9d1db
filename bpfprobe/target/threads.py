"""What a thread is doing in the kernel now."""

from __future__ import annotations


def thread_is_inside(tid: int, function: str) -> bool | None:
    """Whether the kernel stack of a thread has the function on it; False for one that has ended.

    None where it is not shown: /proc/PID/stack needs root and CONFIG_STACKTRACE, a thread that runs
    shows none, and a function of user space (an empty name) is on no kernel stack.
    """
    try:
        with open(f"/proc/{tid}/stack", encoding="ascii", errors="replace") as lines:
            frames = lines.read()
    except (FileNotFoundError, ProcessLookupError):
        return False
    except OSError:
        return None
    if not function or not frames.strip():
        return None
    return any(line.partition("] ")[2].partition("+")[0] == function for line in frames.split("\n"))
