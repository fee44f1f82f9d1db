"""Which files are one to the kernel's probes, whatever numbers stat(2) gives them.

An overlayfs shows a file of a layer as one of its own, with another device in each mount; a probe
is of the layer's. Until Linux 6.17 what the kernel tells of mappings has the layer's numbers.
"""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING

from bpfprobe.model.mapping import FileKey

if TYPE_CHECKING:
    from collections.abc import Callable

_OVERLAYFS = 0x794C7630  # OVERLAYFS_SUPER_MAGIC of <linux/magic.h>
_STATFS_BYTES = 256  # struct statfs has 120 on 64-bit machines, and begins with its f_type


def is_on_overlay(path: str) -> bool:
    """By statfs(2); False for what is not there."""
    buffer = ctypes.create_string_buffer(_STATFS_BYTES)
    found = ctypes.CDLL(None).statfs(os.fsencode(path), buffer)
    return found == 0 and ctypes.c_long.from_buffer(buffer).value == _OVERLAYFS


class Identities:
    """Gives each file the numbers under which it was met first.

    On an overlayfs inode, size and times are those of the layer's file. What a copy in the upper
    layer has of its own is at least the time of its change.
    """

    def __init__(self, is_on_overlay: Callable[[str], bool] = is_on_overlay) -> None:
        self._is_on_overlay = is_on_overlay
        self._first: dict[tuple[int, ...], tuple[FileKey, bool]] = {}

    def of(self, path: str, status: os.stat_result) -> FileKey:
        """The numbers of the file at a path, which has that status."""
        key = FileKey(status.st_dev, status.st_ino)
        stamp = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        if stamp not in self._first:
            self._first[stamp] = key, self._is_on_overlay(path)
        first, is_overlaid = self._first[stamp]
        return first if is_overlaid or first == key or self._is_on_overlay(path) else key
