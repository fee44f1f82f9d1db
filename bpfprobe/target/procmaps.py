"""Which files a process has mapped, from the text of /proc/PID/maps (proc_pid_maps(5))."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LINE = re.compile(
    r"([0-9a-f]+)-([0-9a-f]+) (\S{4}) ([0-9a-f]+) ([0-9a-f]+):([0-9a-f]+) (\d+)\s*(.*)"
)
_DELETED = " (deleted)"


@dataclass(frozen=True, slots=True)
class Mapping:
    """A mapped part of a file; ``start``, ``end`` are addresses, ``offset`` is into the file.

    ``path`` is as the process sees it; ``is_deleted`` where the file has no name any more.
    """

    start: int
    end: int
    executable: bool
    offset: int
    device: int
    inode: int
    path: str
    is_deleted: bool


def read_mappings(lines: Iterable[str]) -> Iterator[Mapping]:
    """The mappings of files; anonymous memory, ``[heap]`` and their like are left out."""
    for line in lines:
        found = _LINE.match(line.rstrip("\n"))
        if not found or not found[8].startswith("/"):
            continue
        path = found[8].replace("\\012", "\n")
        yield Mapping(
            start=int(found[1], 16),
            end=int(found[2], 16),
            executable=found[3][2] == "x",
            offset=int(found[4], 16),
            device=os.makedev(int(found[5], 16), int(found[6], 16)),
            inode=int(found[7]),
            path=path.removesuffix(_DELETED),
            is_deleted=path.endswith(_DELETED),
        )
