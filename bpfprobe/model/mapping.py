"""What processes have in their memory, and what tells that it changed."""

from __future__ import annotations

from typing import NamedTuple

from bpfprobe.model.noun import dataclass


class FileKey(NamedTuple):
    """A file by the numbers of its device and inode."""

    device: int
    inode: int


@dataclass(frozen=True, slots=True)
class Mapping:
    """A mapped part of a file; ``start``, ``end`` are addresses, ``offset`` is into the file.

    ``path`` is as the reader of its maps sees it, not as a process in a chroot does; ``is_deleted``
    where the file no longer has a name. What is not a file has a name in brackets (``[vdso]``,
    ``[anon]``), and 0 for the rest.
    """

    start: int
    end: int
    executable: bool
    offset: int
    device: int
    inode: int
    path: str
    is_deleted: bool = False

    @property
    def is_file(self) -> bool:
        """Whether it is of a file."""
        return self.path.startswith("/")

    @property
    def file(self) -> FileKey:
        """Its numbers. On btrfs and overlayfs they may be others than stat(2) gives."""
        return FileKey(self.device, self.inode)


@dataclass(frozen=True, slots=True)
class Mapped:
    """A process mapped something with code."""

    pid: int
    mapping: Mapping


@dataclass(frozen=True, slots=True)
class Forked:
    """A process began, with all that its parent has."""

    pid: int
    parent: int


@dataclass(frozen=True, slots=True)
class Executed:
    """A process began another program: what it had is gone."""

    pid: int


@dataclass(frozen=True, slots=True)
class Exited:
    """A thread of a process has ended."""

    pid: int
    tid: int


@dataclass(frozen=True, slots=True)
class RecordsLost:
    """So many records were lost, since those before them were not taken in time."""

    count: int


ProcessRecord = Mapped | Forked | Executed | Exited | RecordsLost
