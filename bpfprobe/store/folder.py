"""The folder that objects are kept in. Whoever could write there could run code in the kernel.

It is ``/var/cache/bpfprobe/objects`` for root, ``bpfprobe/objects`` in XDG_CACHE_HOME (or
``~/.cache``) for others; BPFPROBE_CACHE names a folder to have ``objects`` in, or is ``off``. It is
used only if it is ours, closed to all others, and below folders that nobody else can rename things
in; of what is in it only regular files that are ours and closed to others. What cannot be used is
as if it were not there: no start fails for want of a cache.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager, suppress

from bpfprobe.model.noun import dataclass
from bpfprobe.trust import UntrustedError, open_trusted
from bpfprobe.whole_file import replace_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

VARIABLE, OFF = "BPFPROBE_CACHE", "off"
MAX_FILE_BYTES = 16 << 20
MAX_BYTES, MAX_FILES = 64 << 20, 512

_PARTIAL = "."  # what files that are being written begin with
_ABANDONED_S = 3600
_FLAGS = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class FolderError(Exception):
    """Why the folder cannot be used; never leaves this package."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of the folder: size in bytes, and when it was last used (seconds since 1970)."""

    name: str
    size: int
    used: float


def folder_path() -> str | None:
    """Where the folder is to be; None where BPFPROBE_CACHE says ``off``."""
    given = os.environ.get(VARIABLE)
    if given:
        return None if given == OFF else f"{given}/objects"
    if os.geteuid() == 0:
        return "/var/cache/bpfprobe/objects"
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not base.startswith("/"):
        base = os.path.expanduser("~/.cache")  # noqa: PTH111  # see fingerprint
    return f"{base}/bpfprobe/objects"


@contextmanager
def opened_folder(*, make: bool = False) -> Iterator[Folder | None]:
    """The folder, or None where it is off, missing, or must not be used; ``make`` creates it."""
    try:
        folder = open_folder(make=make)
    except (FolderError, OSError):
        yield None
        return
    try:
        yield folder
    finally:
        if folder is not None:
            folder.close()


def open_folder(*, make: bool = False) -> Folder | None:
    """As `opened_folder`, with the reason why not: raises `FolderError` or OSError."""
    path = folder_path()
    if path is None:
        return None
    parent, name = os.path.split(path)
    try:
        above, real = open_trusted(parent, make=make)
    except UntrustedError as error:
        raise FolderError(str(error)) from error
    path = f"{real}/{name}"
    try:
        if make:
            with suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=above)  # see fingerprint
        fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | _FLAGS, dir_fd=above)
    finally:
        os.close(above)
    try:
        _check_own(os.fstat(fd), path)
    except BaseException:
        os.close(fd)
        raise
    return Folder(fd, path)


def _check_own(status: os.stat_result, path: str) -> None:
    if status.st_uid != os.geteuid():
        raise FolderError(f"{path} belongs to user {status.st_uid}, not to {os.geteuid()}")
    if status.st_mode & 0o077:
        raise FolderError(f"{path} is open to others (mode {stat.S_IMODE(status.st_mode):o})")


class Folder:
    """The open folder. Nothing that it is asked raises; what cannot be done is not done."""

    def __init__(self, fd: int, path: str) -> None:
        self._fd = fd
        self.path = path

    def close(self) -> None:
        """Let go of the folder."""
        os.close(self._fd)

    def has(self, name: str) -> bool:
        """Whether a file of that name is there and can be trusted."""
        try:
            status = os.stat(name, dir_fd=self._fd, follow_symlinks=False)
        except OSError:
            return False
        return self._problem(status) is None

    def read(self, name: str) -> bytes | None:
        """What is in a file that can be trusted, and that counts as used now."""
        data, _ = self.examine(name)
        if data is not None:
            with suppress(OSError):
                os.utime(name, dir_fd=self._fd, follow_symlinks=False)
        return data

    def examine(self, name: str) -> tuple[bytes | None, str]:
        """What is in a file, or why it must not be read."""
        try:
            fd = os.open(name, os.O_RDONLY | _FLAGS, dir_fd=self._fd)
        except OSError as error:
            return None, os.strerror(error.errno or 0)
        try:
            status = os.fstat(fd)
            problem = self._problem(status)
            if problem is not None:
                return None, problem
            data = os.read(fd, status.st_size + 1)
        except OSError as error:
            return None, os.strerror(error.errno or 0)
        finally:
            os.close(fd)
        if len(data) != status.st_size:
            return None, "it changed while it was read"
        return data, ""

    def _problem(self, status: os.stat_result) -> str | None:
        if not stat.S_ISREG(status.st_mode):
            return "not a regular file"
        if status.st_uid != os.geteuid():
            return f"belongs to user {status.st_uid}"
        if status.st_mode & 0o077:
            return f"open to others (mode {stat.S_IMODE(status.st_mode):o})"
        if status.st_size > MAX_FILE_BYTES:
            return f"of {status.st_size} bytes, more than any object has"
        return None

    def write(self, name: str, data: bytes) -> bool:
        """Put a file there, all at once: no reader sees half of it. False if that cannot be."""
        if len(data) > MAX_FILE_BYTES:
            return False
        try:
            replace_in(self._fd, name, data, mode=0o600)
        except OSError:
            return False
        self._trim()
        return True

    def discard(self, name: str) -> None:
        """Take a file away."""
        with suppress(OSError):
            os.unlink(name, dir_fd=self._fd)  # relative to the open folder

    def entries(self) -> list[Entry]:
        """All files, the one last used first; those half written are left out."""
        return [entry for entry in self._all() if not entry.name.startswith(_PARTIAL)]

    def clear(self) -> int:
        """Take away all that is there, and say how many files it was."""
        entries = self._all()
        for entry in entries:
            self.discard(entry.name)
        return len(entries)

    def _all(self) -> list[Entry]:
        found = []
        with suppress(OSError), os.scandir(self._fd) as entries:
            for entry in entries:
                with suppress(OSError):
                    status = entry.stat(follow_symlinks=False)
                    found.append(Entry(entry.name, status.st_size, status.st_mtime))
        return sorted(found, key=lambda entry: entry.used, reverse=True)

    def _trim(self) -> None:
        """Take away what was used longest ago, and what a killed process left half written."""
        entries, size, count = self._all(), 0, 0
        newest = entries[0].used if entries else 0.0
        for entry in entries:
            size, count = size + entry.size, count + 1
            partial = entry.name.startswith(_PARTIAL)
            if partial and entry.used > newest - _ABANDONED_S:
                continue
            if partial or size > MAX_BYTES or count > MAX_FILES:
                self.discard(entry.name)
