"""Files that processes have mapped, in whatever root directory: named, opened, described."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from bpfprobe.errors import TargetError
from bpfprobe.model.mapping import FileKey, Mapped
from bpfprobe.model.wanted import Wanted
from bpfprobe.target.binaries import DWARF_MARK
from bpfprobe.target.identities import Identities
from bpfprobe.target.lookup import library_pattern, open_regular, under
from bpfprobe.target.procmaps import read_mappings

if TYPE_CHECKING:
    from bpfprobe.model.ktype import KStruct, Member
    from bpfprobe.model.machine import Binary
    from bpfprobe.target import Target

_OF_A_FILE = frozenset(
    {
        "binary_symbols", "matching_binary_symbols", "similar_binary_symbols", "source_name",
        "debug_symbols", "binary_prototype", "source_lines", "binary_package", "markers",
        "binary_variable", "function_at", "instruction_at", "other_symbol",
    }
)  # fmt: skip

_WANTS = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""What we have too little of, which says nothing of a process."""


class OpenedFile:
    """A file that stays reachable at ``path`` until closed, whatever becomes of who mapped it.

    ``changed_ns`` is when it was changed last: what was refused may have become another file.
    """

    def __init__(self, fd: int, identities: Identities) -> None:
        self._fd = fd
        self.path = f"/proc/self/fd/{fd}"
        status = os.fstat(fd)
        self.inode, self.changed_ns = status.st_ino, status.st_ctime_ns
        self.key = identities.of(self.path, status)

    def close(self) -> None:
        """Close it."""
        os.close(self._fd)


class Opened(Protocol):
    """See `OpenedFile`."""

    path: str
    key: FileKey
    changed_ns: int

    def close(self) -> None:
        """Close it."""
        ...


class ProcessFiles(Protocol):
    """Questions about processes that live now."""

    def parents(self) -> dict[int, int]:
        """Each process with the one that it is a child of. Raises `TargetError`."""
        ...

    def threads(self, pid: int) -> set[int]:
        """The threads of a process; none of one that has ended. Raises `TargetError`."""
        ...

    def mapped(self, pid: int) -> list[Mapped]:
        """The files that a process runs code from; none of one that has ended.

        Raises `TargetError`.
        """
        ...

    def wanted(self, name: str, pid: int | None, found: str | None) -> Wanted:
        """What a name of a description means, which was ``found`` at a path, or nowhere."""
        ...

    def leads_to(self, wanted: Wanted, mapped: Mapped) -> bool:
        """Whether for the process the path that is wanted leads to the file that it has mapped."""
        ...

    def leads(self, wanted: Wanted, pid: int | None) -> FileKey | None:
        """The file that the path leads to now, for a process or for us; None for nothing."""
        ...

    def key(self, path: str) -> FileKey | None:
        """The file at a path that we have found; None where it has gone."""
        ...

    def open(self, mapped: Mapped) -> Opened:
        """The file itself while it is open. Raises `TargetError` (FILE_GONE, NO_ACCESS)."""
        ...

    def target(self, base: Target, opened: Opened) -> Target:
        """A target on which every name of a file means the one that was opened."""
        ...


class LiveProcessFiles:
    """Reads /proc."""

    def __init__(self) -> None:
        links = ("root", "ns/mnt")
        self._identities = Identities()
        self._ours = tuple((link, os.readlink(f"/proc/self/{link}")) for link in links)  # noqa: PTH115

    def parents(self) -> dict[int, int]:
        """From /proc/PID/stat."""
        found = {}
        for name in filter(str.isdecimal, _names("/proc")):
            fields = _read(f"/proc/{name}/stat").rpartition(b")")[2].split()
            if len(fields) > 1:
                found[int(name)] = int(fields[1])
        return found

    def threads(self, pid: int) -> set[int]:
        """From /proc/PID/task."""
        return set(map(int, _names(f"/proc/{pid}/task")))

    def mapped(self, pid: int) -> list[Mapped]:
        """From /proc/PID/maps."""
        # Most lines are of data: they need not be taken apart.
        code = [line for line in _read(f"/proc/{pid}/maps").splitlines() if b"xp " in line[:64]]
        return [Mapped(pid, one) for one in read_mappings(map(os.fsdecode, code))]

    def wanted(self, name: str, pid: int | None, found: str | None) -> Wanted:
        """A name without a ``/`` is that of a library too, unless it was found to be a program."""
        if "/" in name:
            return Wanted(name, _spellings(name, pid), leads=True)
        library = library_pattern(name)
        if found is None:
            return Wanted(name, (), f"{re.escape(name)}|{library.pattern}")
        paths = tuple(dict.fromkeys((found, os.path.realpath(found))))
        if library.fullmatch(found.rpartition("/")[2]):
            return Wanted(name, paths, library.pattern)
        return Wanted(name, paths, re.escape(name), leads=True)

    def leads_to(self, wanted: Wanted, mapped: Mapped) -> bool:
        """By stat(2) of both paths in the root directory of the process."""
        path, process = wanted.paths[0], f"/proc/{mapped.pid}"
        try:
            if all(os.readlink(f"{process}/{link}") == here for link, here in self._ours):  # noqa: PTH115
                return os.path.samefile(path, mapped.mapping.path)  # noqa: PTH121  # asked of many files
            root = Path(process, "root")
            return under(root, path).samefile(under(root, mapped.mapping.path))
        except (OSError, TargetError):  # not there for this process, or it has ended
            return False

    def leads(self, wanted: Wanted, pid: int | None) -> FileKey | None:
        """By stat(2)."""
        root = "" if pid is None else f"/proc/{pid}/root"
        try:
            status = os.stat(f"{root}{wanted.paths[0]}")  # noqa: PTH116  # asked often
        except OSError:
            return None
        return FileKey(status.st_dev, status.st_ino)

    def key(self, path: str) -> FileKey | None:
        """By stat(2)."""
        try:
            status = os.stat(path)  # noqa: PTH116  # its numbers are all that is wanted
        except OSError:
            return None
        return self._identities.of(path, status)

    def open(self, mapped: Mapped) -> OpenedFile:
        """By /proc/PID/map_files, else by its path there or here if that is the same file."""
        pid, mapping = mapped.pid, mapped.mapping
        exact = Path(f"/proc/{pid}/map_files/{mapping.start:x}-{mapping.end:x}")
        for path in (exact, Path(f"/proc/{pid}/root{mapping.path}"), Path(mapping.path)):
            try:
                opened = OpenedFile(open_regular(path, mapping.path), self._identities)
            except TargetError as error:
                if isinstance(error.__cause__, OSError) and error.__cause__.errno in _WANTS:
                    raise
                continue  # the process has ended, or has another file there by now
            if path is exact or opened.inode == mapping.inode:
                return opened
            opened.close()
        raise TargetError(
            f"{mapping.path} of process {pid} was gone before it could be opened",
            code="FILE_GONE",
        )

    def target(self, base: Target, opened: Opened) -> Target:
        """What is asked of files is asked of a new `LiveTarget`, all else of ``base``."""
        from bpfprobe.target.live import LiveTarget

        found: Any = _OneFileTarget(base, LiveTarget(), opened.path)
        target: Target = found
        return target


class _OneFileTarget:
    """The file at ``path``, whichever is asked for."""

    def __init__(self, base: Target, files: Target, path: str) -> None:
        self._base, self._files, self._path = base, files, path
        self._binary: Binary | None = None

    def __getattr__(self, question: str) -> Any:
        return getattr(self._files if question in _OF_A_FILE else self._base, question)

    def binary(self, path: str, pid: int | None = None) -> Binary:
        """That file, which is read once. Raises what `Target.binary` does."""
        self._binary = self._binary or self._files.binary(self._path)
        return self._binary

    def process_maps_binary(self, pid: int, binary: Binary) -> bool:
        """It does: that is how the file was found."""
        return True

    def members(self, struct: KStruct) -> tuple[Member, ...]:
        """Of a struct of the file, or of the kernel."""
        return (self._files if struct.type_id & DWARF_MARK else self._base).members(struct)


def _spellings(name: str, pid: int | None) -> tuple[str, ...]:
    """A path as it was given, absolute, and without links, as the process sees it."""
    if pid is None:
        path = os.path.abspath(name)  # noqa: PTH100  # without ".." in it, as records have it
        return tuple(dict.fromkeys((path, os.path.realpath(path))))
    root = Path(f"/proc/{pid}/root")
    try:
        start = Path(f"/proc/{pid}/cwd").readlink()
        path = os.path.normpath(start / name)
        plain = "/" + str(under(root, path).relative_to(root))
    except (OSError, TargetError) as error:
        raise TargetError(f"there is no process {pid}", code="NO_PROCESS") from error
    return tuple(dict.fromkeys((path, plain)))


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        _must_have_ended(error, path)
        return b""


def _names(path: str) -> list[str]:
    try:
        return os.listdir(path)  # noqa: PTH208  # names alone
    except OSError as error:
        _must_have_ended(error, path)
        return []


def _must_have_ended(error: OSError, path: str) -> None:
    """Raise where it is for want of something of ours that a process cannot be looked at."""
    if error.errno in _WANTS:
        raise TargetError(f"{path} cannot be read: {error.strerror}", code="NO_ACCESS") from error
