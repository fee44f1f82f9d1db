"""Memory that the kernel shares with us: mapped, looked at, unmapped."""

from __future__ import annotations

import ctypes
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from bpfprobe.engine.syscalls import Kernel
    from bpfprobe.model.chunk import Chars


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
        self._lent = False

    def chars(self, offset: int) -> Chars:
        """The bytes from ``offset`` to the end."""
        array: Any = ctypes.c_char * (self._size - offset)  # typeshed's slices of it are lists
        chars: Chars = array.from_address(self._address + offset)
        return chars

    def words(self, offset: int, size: int) -> memoryview:
        """``size`` bytes as u64, each read or written by one move."""
        array = (ctypes.c_char * size).from_address(self._address + offset)
        return memoryview(array).cast("B").cast("Q")

    def view(self, offset: int, size: int) -> memoryview:
        """``size`` bytes to be looked at where they are, and not to be written."""
        array = (ctypes.c_char * size).from_address(self._address + offset)
        return memoryview(array).cast("B").toreadonly()

    def lend(self) -> None:
        """Views go to a user, who may look at them at any time."""
        self._lent = True

    def close(self) -> None:
        """Unmap; views must not be used any more. Closing twice does nothing.

        Of what was lent, zeros stay to be read, for a user may have kept an array that is there.
        """
        address, self._address = self._address, 0
        # It is not mapped in a forked child: something else may be there.
        if address and os.getpid() == self._owner:
            (self._kernel.blank if self._lent else self._kernel.munmap)(address, self._size)
