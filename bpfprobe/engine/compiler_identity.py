"""Which BCC would compile, found without loading it."""

from __future__ import annotations

import os
import stat

from bpfprobe.trust import is_trusted_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

COMPILER_PLACE = "BPFPROBE_COMPILER"
"""A variable of the environment that names a place where another machine compiles for this one."""
LIBRARY = "libbcc.so.0"

_PORT = "/dev/vport"
_CACHE = "/etc/ld.so.cache"
_FOLDERS = ("/lib64", "/usr/lib64", "/lib", "/usr/lib")


def compiler_identity() -> str:
    """Path and state of the library's file, as ld.so(8) would find it; empty where there is none.

    A compiler of another machine goes by its place.
    """
    if compiles_elsewhere():
        return f"at {os.environ[COMPILER_PLACE]}"
    for path in _candidates():
        try:
            status = os.stat(path)  # noqa: PTH116  # pathlib costs a start a millisecond
        except (OSError, ValueError):
            continue
        times = f"{status.st_mtime_ns} {status.st_ctime_ns}"
        return f"{path} {status.st_dev} {status.st_ino} {status.st_size} {times}"
    return ""


def compiles_elsewhere() -> bool:
    """Whether the environment names a place where another machine compiles.

    What comes from there is loaded into the kernel: only a port of a virtual machine counts, and
    none that others can write to.
    """
    place = os.environ.get(COMPILER_PLACE, "")
    if not place.startswith(_PORT) or "/" in place.removeprefix(_PORT):
        return False
    try:
        return is_trusted_device(os.stat(place))  # noqa: PTH116  # as above
    except (OSError, ValueError):
        return False


def is_trusted_device(status: os.stat_result) -> bool:
    """Whether it is a character device of root's, or ours, that others cannot write to."""
    return stat.S_ISCHR(status.st_mode) and is_trusted_file(status)


def _candidates() -> Iterator[str]:
    for folder in os.environ.get("LD_LIBRARY_PATH", "").replace(";", ":").split(":"):
        if folder:
            yield f"{folder}/{LIBRARY}"
    try:
        with open(_CACHE, "rb", buffering=0) as file:
            cache = file.read()
    except OSError:  # musl has none
        cache = b""
    # Its texts stand one after another, a NUL behind each; a path ends with the name.
    ending = b"/" + LIBRARY.encode() + b"\0"
    at = cache.find(ending)
    while at >= 0:
        yield os.fsdecode(cache[cache.rfind(b"\0", 0, at) + 1 : at + len(ending) - 1])
        at = cache.find(ending, at + 1)
    for folder in _FOLDERS:
        yield f"{folder}/{LIBRARY}"
