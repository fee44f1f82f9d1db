"""Which bpfprobe this is: a checkout that was edited is another one at once."""

from __future__ import annotations

import functools
import os

import bpfprobe

# What decides on an object, from the description to its bytes.
_FOLDERS = (
    ".", "attach", "engine", "model", "parse", "plan", "render", "resolve", "store", "target",
)  # fmt: skip


@functools.cache
def fingerprint() -> bytes | None:
    """The version, and name, size and times of each file that has a part in making an object.

    Half a millisecond, once: what runs is what was there when it began. None where the package is
    no folder of files.
    """
    home = os.path.dirname(bpfprobe.__file__)  # noqa: PTH120  # pathlib costs a start a millisecond
    beside = os.path.join(home, os.pardir, "templates")  # noqa: PTH118  # as above
    inside = os.path.join(home, "templates")  # noqa: PTH118  # as above
    try:
        folders = [os.path.join(home, name) for name in _FOLDERS]  # noqa: PTH118  # as above
        templates = inside if os.path.isdir(inside) else beside  # noqa: PTH112  # as above
        folders += [templates, f"{templates}/include/linux"]
        files = sorted(line for folder in folders for line in _files(folder))
    except OSError:
        return None
    return "\n".join([bpfprobe.__version__, home, *files]).encode(errors="surrogateescape")


def _files(folder: str) -> list[str]:
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith((".py", ".c", ".h")):
                status = entry.stat()
                times = f"{status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}"
                found.append(f"{folder}/{entry.name} {status.st_size} {times}")
    return found
