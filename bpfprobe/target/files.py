"""Small files of /proc, /sys and /boot under a root directory, with the reason when unreadable."""

from __future__ import annotations

import errno
import os
import zlib
from typing import TYPE_CHECKING

from bpfprobe.errors import TargetError
from bpfprobe.model.noun import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_GZIP = 16 + zlib.MAX_WBITS  # of the header that gzip(1) writes


@dataclass(frozen=True, slots=True)
class Reading:
    """What a file said: ``data``, or None and the errno with which it refused."""

    path: str
    data: bytes | None
    errno: int = 0

    @property
    def text(self) -> str | None:
        """The bytes as text without white space at the ends, or None."""
        return None if self.data is None else self.data.decode(errors="replace").strip()

    @property
    def missing(self) -> bool:
        """True where there is no such file, as opposed to one that may not be read."""
        return self.errno in (errno.ENOENT, errno.ENOTDIR)

    @property
    def problem(self) -> str:
        """Path and reason, for evidence."""
        return f"{self.path}: {os.strerror(self.errno)}" if self.errno else ""


def read_regular(
    path: str,
    most_bytes: int,
    check: Callable[[str, os.stat_result], object] | None = None,
) -> bytes:
    """All of a file that somebody else may have made: never waits, never more than that.

    ``check`` is called with the path and the state of what was opened, before it is read. Raises
    `TargetError`: NO_FILE, NOT_REGULAR, NO_ACCESS, LINK_LOOP, TOO_BIG; and what ``check`` raises.
    """
    from pathlib import Path

    from bpfprobe.target.lookup import open_regular, refusal

    fd = open_regular(Path(path), path)
    try:
        status = os.fstat(fd)
        if check is not None:
            check(path, status)
        size = status.st_size
        if size > most_bytes:
            raise TargetError(
                f"{path} has {size} bytes, and {most_bytes} is the most", code="TOO_BIG"
            )
        data = bytearray()
        while len(data) < size and (part := os.read(fd, size - len(data))):
            data += part
        return bytes(data)
    except OSError as error:
        raise refusal(error, path) from error
    finally:
        os.close(fd)


class Files:
    """Files under ``root``; paths are given and shown as they are on the machine itself."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def real(self, path: str) -> Path:
        """The path here of a path there."""
        return self.root / path.lstrip("/")

    def read(self, path: str, most: int = -1) -> Reading:
        """All of a file, or its first ``most`` bytes; ``.gz`` is unpacked.

        Never raises for a file that cannot be read.
        """
        try:
            with open(self.real(path), "rb") as file:
                data = file.read(most)
            if path.endswith(".gz"):
                data = zlib.decompress(data, _GZIP)
            return Reading(path, data)
        except zlib.error:
            return Reading(path, None, errno.EBADMSG)
        except OSError as error:
            return Reading(path, None, error.errno or errno.EIO)

    def names(self, path: str) -> Reading:
        """The names in a directory, a line each, sorted."""
        try:
            names = sorted(os.listdir(self.real(path)))  # noqa: PTH208  # names, not paths
        except OSError as error:
            return Reading(path, None, error.errno or errno.EIO)
        return Reading(path, os.fsencode("\n".join(names)))
