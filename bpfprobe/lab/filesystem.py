"""Making an ext4 image from a directory, without root and without mounting anything."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bpfprobe.lab.process import environment, run_tool

if TYPE_CHECKING:
    from pathlib import Path

    from bpfprobe.lab.tools import Tools

MIB = 1 << 20
BLOCK = 4096
SPARE_INODES = 4096
SPARE_BYTES = 32 * MIB
# A guest is a throw-away: nothing in it needs a journal, checksums or room to grow.
FEATURES = "^has_journal,^metadata_csum,^resize_inode"


def make_ext4(tools: Tools, content: Path, image: Path, size: int | None = None) -> None:
    """Write an image that holds ``content``, of ``size`` bytes or just large enough."""
    files, used = measure(content)
    inodes = files + SPARE_INODES
    if size is None:
        size = -(-(used + inodes * 256 + used // 16 + SPARE_BYTES) // MIB) * MIB
    environ = environment(MKE2FS_CONFIG=str(tools.path("etc/mke2fs.conf")))
    options = ["-q", "-F", "-t", "ext4", "-b", str(BLOCK), "-m", "0", "-O", FEATURES]
    options += ["-E", "lazy_itable_init=0,root_owner=0:0", "-N", str(inodes), "-d", str(content)]
    run_tool(
        (*tools.command("mke2fs"), *options, str(image), f"{size // 1024}k"),
        hint="check that the cache's disk has room, and that the files can be read",
        env=environ,
    )


def measure(directory: Path) -> tuple[int, int]:
    """How many files a directory holds, and the bytes they take in blocks."""
    files = used = 0
    pending = [directory]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                files += 1
                used += -(-entry.stat(follow_symlinks=False).st_size // BLOCK) * BLOCK
                if entry.is_dir(follow_symlinks=False):
                    pending.append(type(directory)(entry.path))
    return files, used
