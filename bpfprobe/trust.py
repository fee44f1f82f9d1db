"""Folders of which no other user can change anything, nor put another in their place.

A path is walked from / on, each folder opened below the one before it, which is held meanwhile: so
what was checked is what is used. Each must belong to root or to us, and be closed to what others
write; a sticky one (as /tmp is) will do on the way, since nothing in it can be moved by others.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress

from bpfprobe.errors import MissingLibraryError

_MOST_LINKS = 40  # as the kernel: MAXSYMLINKS
_STEP = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_WRITTEN_BY_OTHERS = 0o022
LIBRARY_PATH = "LD_LIBRARY_PATH"


class UntrustedError(Exception):
    """Why another user could have written what is at a path."""


def open_trusted(path: str, *, make: bool = False) -> tuple[int, str]:
    """Open a folder and give its descriptor (O_PATH) and its path without links.

    With ``make`` what is missing is made, closed to others; nothing is made below a folder that is
    not trusted. Raises `UntrustedError`, OSError.
    """
    waiting = _parts(os.path.abspath(path))  # noqa: PTH100  # pathlib costs a start a millisecond
    names: list[str] = []
    links = 0
    fd = _root()
    try:
        while waiting:
            name = waiting.pop()
            step = _enter(fd, name, make=make)
            try:
                link = _checked(step, "/" + "/".join([*names, name]))
            except BaseException:
                os.close(step)
                raise
            if link is None:
                os.close(fd)
                fd = step
                names = names[:-1] if name == ".." else [*names, name]
                continue
            os.close(step)
            links += 1
            if links > _MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            if link.startswith("/"):
                os.close(fd)
                fd, names = _root(), []
            waiting += _parts(link)
    except BaseException:
        os.close(fd)
        raise
    return fd, "/" + "/".join(names)


def check_library_path() -> None:
    """Refuse to load libraries as root from where another user may have put them.

    ``su`` keeps LD_LIBRARY_PATH, in which an empty name is the current folder. Raises
    `MissingLibraryError` (UNTRUSTED_LIBRARY_PATH).
    """
    given = os.environ.get(LIBRARY_PATH)
    if not given or os.geteuid() != 0:
        return
    for folder in given.replace(";", ":").split(":"):
        problem = _problem(folder or ".")
        if problem:
            raise MissingLibraryError(
                f"root would load libraries that others can change: {problem}",
                hint=f"unset {LIBRARY_PATH}",
                code="UNTRUSTED_LIBRARY_PATH",
            )


def trusted_path(path: str) -> str:
    """Return the folders of a PATH, for root without those in which others can put programs."""
    if os.geteuid() != 0:
        return path
    folders = [folder for folder in path.split(":") if folder.startswith("/")]
    return ":".join(folder for folder in folders if not _problem(folder))


def _problem(folder: str) -> str:
    """Why a folder is not trusted; empty where it is, or where there is none."""
    try:
        fd, _ = open_trusted(folder)
    except UntrustedError as error:
        return str(error)
    except OSError:
        return ""
    os.close(fd)
    return ""


def is_trusted_file(status: os.stat_result) -> bool:
    """Whether a file is root's or ours, and not to be written by others."""
    return status.st_uid in (0, os.geteuid()) and not status.st_mode & _WRITTEN_BY_OTHERS


def _parts(path: str) -> list[str]:
    """The names in a path, the last one first."""
    return [name for name in reversed(path.split("/")) if name not in ("", ".")]


def _enter(folder: int, name: str, *, make: bool) -> int:
    try:
        return os.open(name, _STEP, dir_fd=folder)
    except FileNotFoundError:
        if not make:
            raise
    with suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=folder)  # pathlib has none for a descriptor
    return os.open(name, _STEP, dir_fd=folder)


def _root() -> int:
    fd = os.open("/", _STEP)
    _checked(fd, "/")
    return fd


def _checked(fd: int, path: str) -> str | None:
    """Where a link that can be trusted leads, None for a folder that can be."""
    status = os.fstat(fd)
    if status.st_uid not in (0, os.geteuid()):
        raise UntrustedError(f"{path} belongs to user {status.st_uid}")
    if stat.S_ISLNK(status.st_mode):
        return os.readlink("", dir_fd=fd)  # of an open link
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
    if status.st_mode & _WRITTEN_BY_OTHERS and not status.st_mode & stat.S_ISVTX:
        raise UntrustedError(f"others can rename what is in {path}")
    return None
