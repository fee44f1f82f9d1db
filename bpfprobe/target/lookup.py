"""From what a person calls a binary to the file: as the shell, the loader and a process see it."""

from __future__ import annotations

import errno
import os
import re
import stat
import struct
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from bpfprobe.errors import TargetError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MOST_LINKS = 40  # as the kernel: MAXSYMLINKS
_LONGEST_PATH = 4096  # as the kernel: PATH_MAX
_CACHE_MAGIC = b"glibc-ld.so.cache1.1"
_CACHE_FLAGS = {"x86_64": 0x0303, "aarch64": 0x0A03}  # sysdeps/*/dl-cache.h of glibc
_LIBRARY_DIRECTORIES = (
    "/lib", "/usr/lib", "/lib64", "/usr/lib64", "/usr/local/lib",
    "/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu",
    "/lib/aarch64-linux-gnu", "/usr/lib/aarch64-linux-gnu",
)  # fmt: skip
_STANDARD_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
    stat.S_IFSOCK: "a socket",
}


def under(root: Path, path: str) -> Path:
    """Where ``path`` is for who has ``root`` as its root directory.

    The kernel resolves an absolute link under /proc/PID/root against *our* root; here it is
    resolved against ``root``. Raises `TargetError` (LINK_LOOP).
    """
    if str(root) == "/":
        return Path(path)
    done: list[str] = []
    waiting = list(reversed(PurePosixPath(path).parts))
    links = 0
    while waiting:
        part = waiting.pop()
        if part in ("/", "//"):
            done.clear()
        elif part == "..":
            del done[-1:]
        else:
            done.append(part)
            here = root.joinpath(*done)
            try:
                link = here.readlink()
            except OSError:  # no link, or nothing there: opening it will tell
                continue
            links += 1
            if links > _MOST_LINKS:
                raise TargetError(f"{path} is a loop of symbolic links", code="LINK_LOOP")
            done.pop()
            waiting += reversed(link.parts)
    return root.joinpath(*done)


def open_regular(path: Path, shown: str) -> int:
    """A file descriptor for reading a regular file; never waits, whatever the file is.

    Raises `TargetError`: NO_FILE, NOT_REGULAR, NO_ACCESS, LINK_LOOP.
    """
    try:
        before = os.stat(path)  # noqa: PTH116  # the pair of stat and fstat reads as what it is
        _must_be_regular(before, shown)
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise refusal(error, shown) from error
    try:
        _must_be_regular(os.fstat(fd), shown)  # it may be another file by now
    except TargetError:
        os.close(fd)
        raise
    return fd


def refusal(error: OSError | ValueError, shown: str) -> TargetError:
    """Why a file cannot be opened or read."""
    if isinstance(error, ValueError):  # a NUL in the name
        return TargetError(f"{shown!r} cannot be the name of a file: {error}", code="NO_FILE")
    match error.errno:
        case errno.ENOENT | errno.ENOTDIR | errno.ENAMETOOLONG:
            return TargetError(f"there is no file {shown}: {error.strerror}", code="NO_FILE")
        case errno.ELOOP:
            return TargetError(f"{shown} is a loop of symbolic links", code="LINK_LOOP")
    hint = None
    if error.errno in (errno.EACCES, errno.EPERM):
        hint = "run as root, or as a user who may read the file"
    return TargetError(f"{shown} cannot be read: {error.strerror}", code="NO_ACCESS", hint=hint)


def _must_be_regular(status: os.stat_result, shown: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "something else")
    elif status.st_dev == _device_of_proc():  # such as /proc/kmsg, which waits, and /proc/kcore
        kind = "one that the kernel makes as it is read"
    else:
        return
    raise TargetError(f"{shown} is not a regular file but {kind}", code="NOT_REGULAR")


def _device_of_proc() -> int | None:
    try:
        return os.stat("/proc").st_dev  # noqa: PTH116  # one of several stats here
    except OSError:  # not mounted: nothing is there
        return None


def library_pattern(name: str) -> re.Pattern[str]:
    """What file names a library goes by: ``c``, ``libc``, ``libc.so``, ``libc.so.6``."""
    plain = re.escape(name)
    if ".so" in name:
        return re.compile(rf"{plain}(\.[\d.]+)?")
    return re.compile(rf"(lib)?{plain}(-[\d.]+)?\.so(\.[\w.]+)?")


def newest(names: Iterable[str]) -> list[str]:
    """Names of one library sorted by version, the highest first."""
    return sorted(names, key=lambda name: [int(n) for n in re.findall(r"\d+", name)], reverse=True)


def read_library_cache(data: bytes, machine: str = "") -> Iterator[tuple[str, str]]:
    """(soname, path) of each library in the text of /etc/ld.so.cache, for that machine.

    The format is ``struct cache_file_new`` of glibc's <dl-cache.h>. What is cut off is left out.
    """
    start = data.find(_CACHE_MAGIC)
    if start < 0 or len(data) < start + 48:
        return
    (count,) = struct.unpack_from("=I", data, start + 20)
    wanted = _CACHE_FLAGS.get(machine)
    entries = data[start + 48 : start + 48 + 24 * count]
    for flags, key, value, _, _ in struct.iter_unpack("=iIIIQ", entries[: len(entries) // 24 * 24]):
        if wanted is None or flags == wanted:
            yield _text(data, start + key), _text(data, start + value)


def _text(data: bytes, at: int) -> str:
    end = data.find(b"\0", at, at + _LONGEST_PATH)
    return os.fsdecode(data[at : end if end >= 0 else at + _LONGEST_PATH])


def program_paths(name: str, path: str | None) -> Iterator[str]:
    """Where the shell would look for a program, in order."""
    for directory in (path or _STANDARD_PATH).split(":"):
        if directory.startswith("/"):
            yield f"{directory}/{name}"


def library_paths(name: str, cached: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Where the loader may find a library of that name, the most likely first.

    ``cached`` is what `read_library_cache` gave.
    """
    fits = library_pattern(name).fullmatch
    found = {key: path for key, path in cached if fits(key)}
    exact = [key for key in (name, f"lib{name}.so", f"{name}.so") if key in found]
    # libc.so.6 rather than libc.so, which is a linker script where development files are.
    versioned = [key for key in newest(found) if key not in exact]
    for key in [*versioned, *exact] if name not in found else [name]:
        yield found[key]
    if not found:  # no glibc here (musl has no cache), or it has never been told
        yield from _plain_paths(name)


def library_directories() -> tuple[str, ...]:
    """Where libraries are installed, whatever the cache says."""
    return _LIBRARY_DIRECTORIES


def _plain_paths(name: str) -> Iterator[str]:
    names = [name] if ".so" in name else [f"lib{name}.so", f"{name}.so"]
    for directory in _LIBRARY_DIRECTORIES:
        for candidate in names:
            yield f"{directory}/{candidate}"
