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
from bpfprobe.target.lookup import (
    library_paths,
    library_pattern,
    open_regular,
    program_paths,
    refusal,
    under,
)
from bpfprobe.target.procmaps import Mapping, read_mappings
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
        self._files = files
        self._machine = machine
        self._open: dict[str, ElfFile] = {}
        self._markers: dict[str, tuple[UsdtMarker, ...]] = {}

    def find(self, name: str, pid: int | None) -> Binary:
        """The file that ``name`` means, see `Target.binary`."""
        path = self._locate(name, pid)
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
        code = {mapping.path for mapping in self._mappings(pid) if mapping.executable}
        return tuple(sorted(path for path in code if path.startswith("/")))

    def is_mapped(self, pid: int, binary: Binary) -> bool:
        """Whether the process has the file mapped executable."""
        root = self._root_of(pid)
        try:
            wanted = os.stat(binary.path)  # noqa: PTH116  # held against other stats below
        except OSError as error:
            raise refusal(error, binary.path) from error
        for mapping in self._mappings(pid):
            if not mapping.executable or mapping.inode != wanted.st_ino:
                continue
            if mapping.device == wanted.st_dev or _is_file(root, mapping, wanted):
                return True
        return False

    def _read(self, path: Path) -> ElfFile:
        with _opened(path) as data:
            return ElfFile(data, str(path))

    def _reread(self, binary: Binary, look: Callable[[ElfFile, FileBytes], Found]) -> Found:
        """What is seldom asked for: the file is opened and read anew, as it may have changed."""
        with _opened(Path(binary.path)) as data:
            return look(ElfFile(data, binary.path), data)

    def _locate(self, name: str, pid: int | None) -> Path:
        if not name or "\0" in name:
            raise TargetError(f"{name!r} cannot be the name of a file", code="NO_FILE")
        root = self._files.root if pid is None else self._root_of(pid)
        if "/" in name:
            return self._as_path(name, root, pid)
        tried = 0
        for candidate in self._candidates(name, root, pid):
            tried += 1
            found = _shortest(candidate, root)
            if _is_regular(found):
                return found
        where = f" of process {pid}" if pid is not None else ""
        raise TargetError(
            f"there is no program or library {name}{where}: {tried} places were looked at",
            code="NO_FILE",
            hint=f"give its path (./{name} for one in this directory)",
        )

    def _as_path(self, name: str, root: Path, pid: int | None) -> Path:
        if name.startswith("/"):
            return _shortest(name, root)
        if pid is None:
            return Path(name).absolute()  # still right when the directory is changed
        try:
            start = self._files.real(f"/proc/{pid}/cwd").readlink()
        except OSError as error:
            raise refusal(error, f"/proc/{pid}/cwd") from error
        return _shortest(str(start / name), root)

    def _candidates(self, name: str, root: Path, pid: int | None) -> Iterator[str]:
        """Paths as seen from ``root``."""
        if pid is not None:
            fits = library_pattern(name).fullmatch
            for mapping in self._mappings(pid):
                base = mapping.path.rsplit("/", 1)[-1]
                if base == name or fits(base):
                    yield mapping.path
        yield from program_paths(name, os.environ.get("PATH") if pid is None else None)
        cache = _content(under(root, "/etc/ld.so.cache"))
        yield from library_paths(name, cache, self._machine)

    def _mappings(self, pid: int) -> list[Mapping]:
        read = self._files.read(f"/proc/{pid}/maps")
        if read.data is None:
            raise self._process_refusal(pid, read.errno, read.problem)
        return list(read_mappings(os.fsdecode(read.data).splitlines()))

    def _root_of(self, pid: int) -> Path:
        root = self._files.real(f"/proc/{pid}/root")
        try:
            root.readlink()
        except OSError as error:
            raise self._process_refusal(pid, error.errno or 0, str(error)) from error
        return root

    def _process_refusal(self, pid: int, errno: int, problem: str) -> TargetError:
        if not self._files.real(f"/proc/{pid}").exists() or errno == 3:  # ESRCH
            return TargetError(f"there is no process {pid}", code="NO_PROCESS")
        return TargetError(
            f"process {pid} cannot be looked into: {problem}",
            code="NO_ACCESS",
            hint="run as root, or as the user of the process",
        )


@contextmanager
def _opened(path: Path) -> Iterator[FileBytes]:
    fd = open_regular(path, str(path))
    try:
        yield FileBytes(fd, str(path))
    finally:
        os.close(fd)


def _shortest(path: str, root: Path) -> Path:
    """The file at ``path`` under ``root``, by its plain path where that is the same file."""
    there = under(root, path)
    try:
        if there.samefile(path):
            return Path(path)
    except OSError:  # one of them is not there: opening it will tell
        pass
    return there


def _is_regular(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # out of reach: the next place may not be
        return False


def _is_file(root: Path, mapping: Mapping, wanted: os.stat_result) -> bool:
    """Whether a mapped path leads to the file.

    On btrfs and overlayfs the device in /proc/PID/maps is not the one that stat(2) gives.
    """
    try:
        return os.path.samestat(under(root, mapping.path).stat(), wanted)
    except OSError:  # deleted, or out of reach
        return False


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # musl has no cache; the standard directories remain
        return b""
