"""bpf(2), perf_event_open(2), membarrier(2) and mmap(2), called through libc's ``syscall``.

libbpf has wrappers for them, but their argument structures grow from release to release, while
the kernel's own are fixed: it takes a shorter structure from an older caller, and a longer one if
the tail is zero. So the structures are packed here, as short as each command allows.
"""

from __future__ import annotations

import ctypes
import errno
import os

from bpfprobe.errors import LoadError

PERF_FLAG_FD_CLOEXEC = 8
PROT_READ, PROT_WRITE = 1, 2
MAP_SHARED, MAP_PRIVATE, MAP_FIXED, MAP_ANONYMOUS = 1, 2, 0x10, 0x20
MADV_DONTFORK = 10

_MEMBARRIER_CMD_GLOBAL = 1

# <asm/unistd.h>: (bpf, perf_event_open, membarrier)
_NUMBERS = {
    "x86_64": (321, 298, 324),
    "aarch64": (280, 241, 283),
    "riscv64": (280, 241, 283),
    "loongarch64": (280, 241, 283),
    "ppc64le": (361, 319, 365),
    "s390x": (351, 331, 356),
}

_MMAP_FAILED = ctypes.c_void_p(-1).value


class Kernel:
    """The system calls, each raising OSError with the kernel's errno."""

    def __init__(self) -> None:
        machine = os.uname().machine
        if machine not in _NUMBERS:
            raise LoadError(f"no system call numbers for {machine}", code="ARCH")
        self._bpf, self._perf, self._membarrier = _NUMBERS[machine]
        # A handle of its own, so that these prototypes are not shared with other users of ctypes.
        libc = ctypes.CDLL(None, use_errno=True)
        self._syscall = libc.syscall
        self._syscall.restype = ctypes.c_long
        self._syscall.argtypes = [ctypes.c_long, *[ctypes.c_void_p] * 6]
        self._mmap = libc.mmap
        self._mmap.restype = ctypes.c_void_p
        self._mmap.argtypes = [
            ctypes.c_void_p,
            ctypes.c_size_t,
            ctypes.c_int,
            ctypes.c_int,
            ctypes.c_int,
            ctypes.c_long,  # off_t on the 64-bit machines above
        ]
        self._munmap = libc.munmap
        self._munmap.restype = ctypes.c_int
        self._munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
        self._madvise = libc.madvise
        self._madvise.restype = ctypes.c_int
        self._madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]

    def bpf(self, command: int, attr: ctypes.Array[ctypes.c_char]) -> int:
        """bpf(2): ``attr`` is the packed ``union bpf_attr``; the kernel may write into it."""
        size = ctypes.sizeof(attr)
        return self._call(self._bpf, command, ctypes.addressof(attr), size, 0, 0, 0)

    def perf_event_open(self, attr: bytes, pid: int, cpu: int) -> int:
        """perf_event_open(2) without a group, close-on-exec; the packed ``attr`` holds its size."""
        buffer = ctypes.create_string_buffer(attr, len(attr))
        address = ctypes.addressof(buffer)
        return self._call(self._perf, address, pid, cpu, -1, PERF_FLAG_FD_CLOEXEC, 0)

    def membarrier_global(self) -> None:
        """membarrier(2) with MEMBARRIER_CMD_GLOBAL: returns after a grace period of RCU."""
        self._call(self._membarrier, _MEMBARRIER_CMD_GLOBAL, 0, 0, 0, 0, 0)

    def mmap(self, fd: int, size: int, offset: int, *, writable: bool) -> int:
        """Map ``size`` bytes of ``fd`` shared, not for forked children, and give the address."""
        protection = PROT_READ | PROT_WRITE if writable else PROT_READ
        address = self._mmap(None, size, protection, MAP_SHARED, fd, offset)
        if address is None or address == _MMAP_FAILED:
            raise _os_error()
        if self._madvise(address, size, MADV_DONTFORK) != 0:
            error = _os_error()
            self.munmap(int(address), size)
            raise error
        return int(address)

    def munmap(self, address: int, size: int) -> None:
        """Undo `mmap`."""
        if self._munmap(address, size) != 0:
            raise _os_error()

    def blank(self, address: int, size: int) -> None:
        """Undo `mmap`, but leave zeros to be read there, which take no memory until they are."""
        flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED
        if self._mmap(address, size, PROT_READ, flags, -1, 0) != address:
            raise _os_error()

    def _call(self, number: int, *arguments: int) -> int:
        result = int(self._syscall(number, *arguments))
        if result < 0 and ctypes.get_errno() == errno.EMFILE:
            from bpfprobe.engine.privilege import raise_file_limit  # few starts come to it

            if raise_file_limit():
                result = int(self._syscall(number, *arguments))
            else:
                ctypes.set_errno(errno.EMFILE)
        if result < 0:
            raise _os_error()
        return result


def _os_error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
