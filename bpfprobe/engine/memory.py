"""Memory that the kernel shares with us: mapped, looked at, unmapped."""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING, Literal, Protocol, cast

if TYPE_CHECKING:
    from bpfprobe.engine.syscalls import Kernel


class Chars(Protocol):
    """Bytes that may change under us; a slice is a copy, made by one memcpy."""

    def __getitem__(self, place: slice, /) -> bytes:
        """Copy a slice."""
        ...


class Mapping:
    """``size`` bytes of ``fd`` from ``offset`` on, mapped shared. Raises OSError.

    A forked child does not inherit it: it would keep the map behind it alive. (Perf buffers have
    VM_DONTCOPY of themselves, the others by MADV_DONTFORK.)

    Not the standard ``mmap``: that one duplicates the descriptor, and a perf buffer has one a CPU.
    """

    def __init__(
        self, kernel: Kernel, fd: int, size: int, offset: int = 0, *, writable: bool
    ) -> None:
        self._kernel, self._size, self._owner = kernel, size, os.getpid()
        self._address = kernel.mmap(fd, size, offset, writable=writable)

    def chars(self, offset: int) -> Chars:
        """The bytes from ``offset`` to the end."""
        array = (ctypes.c_char * (self._size - offset)).from_address(self._address + offset)
        return cast("Chars", array)  # typeshed gives any array's slice as a list

    def words(self, code: Literal["Q", "I", "H"], offset: int, size: int) -> memoryview:
        """``size`` bytes as u64 (Q), u32 (I) or u16 (H), each read or written by one move."""
        array = (ctypes.c_char * size).from_address(self._address + offset)
        return memoryview(array).cast("B").cast(code)

    def close(self) -> None:
        """Unmap; views must not be used any more. Closing twice does nothing."""
        address, self._address = self._address, 0
        # It is not mapped in a forked child: something else may be there.
        if address and os.getpid() == self._owner:
            self._kernel.munmap(address, self._size)
