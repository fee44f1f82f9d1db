"""Which files a process has mapped, from the text of /proc/PID/maps (proc_pid_maps(5))."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bpfprobe.model.mapping import Mapping
from bpfprobe.model.regex import regex

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LINE = regex(
    r"([0-9a-f]{1,16})-([0-9a-f]{1,16}) (\S{4}) ([0-9a-f]{1,16}) ([0-9a-f]{1,5}):([0-9a-f]{1,5}) "
    r"([0-9]{1,20})\s*(.*)"
)
DELETED = " (deleted)"
"""What the kernel puts behind a path that leads nowhere any more."""


def read_mappings(lines: Iterable[str]) -> Iterator[Mapping]:
    """The mappings of files; anonymous memory, ``[heap]`` and their like are left out."""
    return (mapping for mapping in read_all_mappings(lines) if mapping.is_file)


def read_all_mappings(lines: Iterable[str]) -> Iterator[Mapping]:
    """All mappings; memory without a name is called ``[anon]``."""
    for line in lines:
        if found := _LINE.match(line.rstrip("\n")):
            path = found[8].replace("\\012", "\n") or "[anon]"
            yield Mapping(
                start=int(found[1], 16),
                end=int(found[2], 16),
                executable=found[3][2] == "x",
                offset=int(found[4], 16),
                device=os.makedev(int(found[5], 16), int(found[6], 16)),
                inode=int(found[7]),
                path=path.removesuffix(DELETED),
                is_deleted=path.endswith(DELETED),
            )
