"""What tells one file, module or boot from another, each as a short text; empty for none."""

from __future__ import annotations

import os
import stat

_MODULES = "/proc/modules"
_TRACEFS = ("/sys/kernel/tracing", "/sys/kernel/debug/tracing")


def boot_id() -> str:
    """A text that is another one after each boot; empty where it cannot be read."""
    return _read("/proc/sys/kernel/random/boot_id").decode("ascii", "replace").strip()


def file_identity(path: str) -> str:
    """Which file stands at a path, and which state it is in; empty for anything but a file."""
    try:
        status = os.stat(path)  # noqa: PTH116  # pathlib costs a start a millisecond
    except (OSError, ValueError):
        return ""
    return identity_of(status) if stat.S_ISREG(status.st_mode) else ""


def identity_of(status: os.stat_result) -> str:
    """The same from what stat(2) gave. A write changes the size or the times, in nanoseconds."""
    return (
        f"{status.st_dev} {status.st_ino} {status.st_size} {status.st_mtime_ns} "
        f"{status.st_ctime_ns}"
    )


def module_identity(name: str) -> str:
    """Which module is loaded under a name: one that was loaded anew is another.

    The number of its folder in sysfs, which the kernel gives anew, and its build id.
    """
    if "/" in name or name in ("", ".", ".."):
        return ""
    folder = f"/sys/module/{name}"
    try:
        number = os.stat(folder).st_ino  # noqa: PTH116  # as above
    except (OSError, ValueError):
        return ""
    return f"{number} {_read(f'{folder}/notes/.note.gnu.build-id').hex()}"


def module_names() -> bytes:
    """The names of all loaded modules, sorted: a name of a function can be theirs too."""
    lines = _read(_MODULES).splitlines()
    return b" ".join(sorted(line.partition(b" ")[0] for line in lines))


def switches() -> tuple[str, ...]:
    """The files that say whether kprobes fire; they can be written at any time."""
    return ("/sys/kernel/debug/kprobes/enabled", "/proc/sys/kernel/ftrace_enabled")


def switch_state(path: str) -> str:
    """What such a file says; empty where it cannot be read."""
    return _read(path).decode("ascii", "replace").strip()


def tracepoint_format(name: str) -> bytes:
    """The ``format`` file of ``category:name``, which holds its number; empty for none."""
    category, _, event = name.partition(":")
    if "/" in name or "" in (category, event) or ".." in (category, event):
        return b""
    for tracefs in _TRACEFS:
        found = _read(f"{tracefs}/events/{category}/{event}/format")
        if found:
            return found
    return b""


def _read(path: str) -> bytes:
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read()
    except (OSError, ValueError):
        return b""
