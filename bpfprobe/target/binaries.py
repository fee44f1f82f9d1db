"""ELF files of the machine underneath: found, opened once, and held against what a process maps."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from bpfprobe.errors import TargetError
from bpfprobe.model.machine import Binary
from bpfprobe.target.elf import ElfFile
from bpfprobe.target.elf_variables import read_variable
from bpfprobe.target.locator import Locator
from bpfprobe.target.lookup import open_regular, refusal
from bpfprobe.target.usdt_notes import read_markers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bpfprobe.model.machine import UsdtMarker, VirtualAddress
    from bpfprobe.target.files import Files

Found = TypeVar("Found")


class FileBytes:
    """`bpfprobe.target.elf.Bytes` of a file, read where it is asked and never mapped.

    A mapped file that another process cuts short ends ours with SIGBUS.
    """

    def __init__(self, fd: int, shown: str) -> None:
        self._fd = fd
        self._shown = shown
        self.size = os.fstat(fd).st_size

    def read(self, offset: int, count: int) -> bytes:
        """Bytes of the file. Raises `TargetError` (NO_ACCESS) when the device fails."""
        try:
            return os.pread(self._fd, max(0, min(count, self.size - offset)), offset)
        except OSError as error:
            raise refusal(error, self._shown) from error


class LiveBinaries:
    """ELF files of the machine that ``files`` shows."""

    def __init__(self, files: Files, machine: str) -> None:
        self._locator = Locator(files, machine)
        self._machine = machine
        self._open: dict[str, ElfFile] = {}
        self._markers: dict[str, tuple[UsdtMarker, ...]] = {}

    def find(self, name: str, pid: int | None) -> Binary:
        """The file that ``name`` means, see `Target.binary`."""
        path = self._locator.locate(name, pid)
        elf = self._read(path)
        if elf.machine != self._machine:
            raise TargetError(
                f"{path} is a program for {elf.machine}, this machine is {self._machine}",
                code="OTHER_MACHINE",
            )
        self._open[str(path)] = elf
        return Binary(str(path), elf.machine, elf.text, elf.is_go)

    def elf(self, binary: Binary) -> ElfFile:
        """The file behind a `Binary`, read again where another target found it."""
        if binary.path not in self._open:
            self._open[binary.path] = self._read(Path(binary.path))
        return self._open[binary.path]

    def markers(self, binary: Binary) -> tuple[UsdtMarker, ...]:
        """See `Target.markers`."""
        if binary.path not in self._markers:
            self._markers[binary.path] = self._reread(binary, read_markers)
        return self._markers[binary.path]

    def variable(self, binary: Binary, name: str) -> VirtualAddress | None:
        """See `Target.binary_variable`."""
        return self._reread(binary, lambda elf, data: read_variable(elf, data, name))

    def mapped_files(self, pid: int) -> tuple[str, ...]:
        """See `Target.mapped_files`."""
        return self._locator.mapped_files(pid)

    def is_mapped(self, pid: int, binary: Binary) -> bool:
        """Whether the process has the file mapped executable."""
        return self._locator.is_mapped(pid, binary.path)

    def _read(self, path: Path) -> ElfFile:
        with _opened(path) as data:
            return ElfFile(data, str(path))

    def _reread(self, binary: Binary, look: Callable[[ElfFile, FileBytes], Found]) -> Found:
        """What is seldom asked for: the file is opened and read anew, as it may have changed."""
        with _opened(Path(binary.path)) as data:
            return look(ElfFile(data, binary.path), data)


@contextmanager
def _opened(path: Path) -> Iterator[FileBytes]:
    fd = open_regular(path, str(path))
    try:
        yield FileBytes(fd, str(path))
    finally:
        os.close(fd)
