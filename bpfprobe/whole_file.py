"""A file that is written whole or not at all, through no link that another user has laid."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress

from bpfprobe.errors import ResourceError
from bpfprobe.signals import signals_wait

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def write_whole(path: str | os.PathLike[str], data: bytes) -> None:
    """Put a regular file there; one of that name stays as it was until the new one is on the disk.

    Raises `ResourceError` (NO_OUTPUT).
    """
    shown = os.fspath(path)
    folder, name = os.path.split(shown)
    try:
        fd = os.open(folder or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _check_replaceable(fd, name, shown)
            replace_in(fd, name, data, durable=True)
        finally:
            os.close(fd)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        number = error.errno or 0 if isinstance(error, OSError) else errno.EINVAL
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ResourceError(
            f"{shown} cannot be written: {reason}", errno=number, code="NO_OUTPUT"
        ) from error


def replace_in(
    folder: int, name: str, data: bytes, *, mode: int = 0o666, durable: bool = False
) -> None:
    """Write a file of an open folder under a random name, then rename it. Raises OSError.

    ``durable`` waits for the disk. What is written for a moment begins with a dot.
    """
    partial = f".{os.getpid()}-{os.urandom(8).hex()}"
    with signals_wait():  # or a part of it would stay
        fd = os.open(partial, _NEW, mode, dir_fd=folder)
        try:
            try:
                left = memoryview(data)
                while left:
                    left = left[os.write(fd, left) :]
                if durable:
                    os.fsync(fd)
            finally:
                os.close(fd)
            os.rename(partial, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with suppress(OSError):
                os.unlink(partial, dir_fd=folder)
            raise
    if durable:
        os.fsync(folder)


def _check_replaceable(folder: int, name: str, shown: str) -> None:
    """Refuse what is no regular file: a device, or a link, which would be replaced itself."""
    if not name:
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return
    if stat.S_ISLNK(status.st_mode):
        raise ResourceError(
            f"{shown} cannot be written: it is a symbolic link",
            errno=errno.ELOOP,
            hint="name the file itself, or remove the link",
            code="NO_OUTPUT",
        )
    if not stat.S_ISREG(status.st_mode):
        raise ResourceError(
            f"{shown} cannot be written: it is not a regular file",
            errno=errno.EINVAL,
            hint="name a file",
            code="NO_OUTPUT",
        )
