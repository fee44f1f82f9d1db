"""The names in a BTF, looked for without reading its types: that takes libbpf ten milliseconds."""

from __future__ import annotations

import mmap
import os
import struct

_HEADER = struct.Struct("=HBBIIIII")  # struct btf_header of <linux/btf.h>
_MAGIC = 0xEB9F
_PART_BYTES = 1 << 16  # sysfs gives no more than a page at a time


class BtfNames:
    """Every name in the BTF of a file, of whatever it is the name; without a file, none is known.

    Kernels since Linux 6.16 (commit a539e2a6d51d) let the file be mapped, so that only the part
    before what is found is looked at; others have all names read, once.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._read = b""

    def has(self, name: str) -> bool | None:
        """Whether something has the name; None where that takes a look at the types.

        So it is without a BTF, and where a longer name ends with this one, which may share its end.
        """
        text = name.encode() + b"\0"
        try:
            if self._read:
                return _found(self._read, 0, text)
            fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                start, length = _place_of_names(fd)
                try:
                    mapped = mmap.mmap(fd, start + length, mmap.MAP_PRIVATE, mmap.PROT_READ)
                except OSError:
                    self._read = _part(fd, start, length)
                    return _found(self._read, 0, text)
                with mapped:
                    return _found(mapped, start, text)
            finally:
                os.close(fd)
        except (OSError, ValueError, struct.error):
            return None


def _found(names: bytes | mmap.mmap, start: int, text: bytes) -> bool | None:
    if names.find(b"\0" + text, start) >= 0:
        return True
    return None if names.find(text, start) >= 0 else False


def _place_of_names(fd: int) -> tuple[int, int]:
    """Where they begin and how long they are. Raises OSError, ValueError, struct.error."""
    magic, _, _, size, _, _, offset, length = _HEADER.unpack(os.pread(fd, _HEADER.size, 0))
    if magic != _MAGIC or not length:
        raise ValueError("not a BTF")
    return size + offset, length


def _part(fd: int, start: int, length: int) -> bytes:
    data = bytearray()
    while len(data) < length:
        part = os.pread(fd, min(_PART_BYTES, length - len(data)), start + len(data))
        if not part:
            raise ValueError("the names were cut")
        data += part
    return bytes(data)
