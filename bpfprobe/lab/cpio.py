"""Writing a cpio archive (the ``newc`` format), which is what a kernel takes as initramfs."""

from __future__ import annotations

import stat
from dataclasses import dataclass, field

MAGIC = b"070701"
TRAILER = "TRAILER!!!"


@dataclass(slots=True)
class Archive:
    """An archive under construction; ``bytes(archive)`` is the finished one."""

    _parts: list[bytes] = field(default_factory=list)
    _entries: int = 0

    def directory(self, path: str, mode: int = 0o755) -> None:
        """Add a directory."""
        self._add(path, stat.S_IFDIR | mode, b"", links=2)

    def file(self, path: str, content: bytes, mode: int = 0o644) -> None:
        """Add a regular file."""
        self._add(path, stat.S_IFREG | mode, content)

    def symlink(self, path: str, target: str) -> None:
        """Add a symbolic link."""
        self._add(path, stat.S_IFLNK | 0o777, target.encode())

    def __bytes__(self) -> bytes:
        return b"".join([*self._parts, _entry(0, TRAILER, 0, b"", 1)])

    def _add(self, path: str, mode: int, content: bytes, links: int = 1) -> None:
        self._entries += 1
        self._parts.append(_entry(self._entries, path.strip("/"), mode, content, links))


def _entry(inode: int, path: str, mode: int, content: bytes, links: int) -> bytes:
    name = path.encode() + b"\0"
    owner = group = mtime = device = checksum = 0
    numbers = (
        inode, mode, owner, group, links, mtime, len(content),
        device, device, device, device, len(name), checksum,
    )  # fmt: skip
    header = MAGIC + b"".join(b"%08X" % number for number in numbers)
    return _padded(header + name) + _padded(content)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
