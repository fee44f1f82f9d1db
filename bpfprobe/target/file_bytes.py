"""Files of any size, read where they are asked."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bpfprobe.target.lookup import open_regular, refusal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class FileBytes:
    """`bpfprobe.target.elf.Bytes` of a file, read where it is asked and never mapped.

    A mapped file that another process cuts short ends ours with SIGBUS.
    """

    def __init__(self, fd: int, shown: str) -> None:
        self._fd = fd
        self._shown = shown
        status = os.fstat(fd)
        self.size = status.st_size
        self.identity = (
            status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
        )  # fmt: skip
        """What changes when the file does, or when another one is there."""

    def read(self, offset: int, count: int) -> bytes:
        """Bytes of the file. Raises `TargetError` (NO_ACCESS) when the device fails."""
        if offset >= self.size:
            return b""
        try:
            return os.pread(self._fd, max(0, min(count, self.size - offset)), offset)
        except OSError as error:
            raise refusal(error, self._shown) from error


@contextmanager
def opened(path: Path) -> Iterator[FileBytes]:
    """A regular file while it is open; never waits. Raises `TargetError`."""
    fd = open_regular(path, str(path))
    try:
        yield FileBytes(fd, str(path))
    finally:
        os.close(fd)
