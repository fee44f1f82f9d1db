"""Writes what running programs read, without a gap, and waits for those that read it before."""

from __future__ import annotations

import os
import time

from bpfprobe.engine.memory import Mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from bpfprobe.engine.fork_guard import ForkGuard
    from bpfprobe.engine.syscalls import Kernel

_PAGE = os.sysconf("SC_PAGE_SIZE")
_WORD = 8
WAIT_S = 0.05
"""Where the kernel does not tell when the last program has ended: they take microseconds."""


class MappedValue:
    """The value of an ARRAY of one entry, made with MMAPABLE, of ``size`` bytes. Raises OSError."""

    def __init__(self, kernel: Kernel, guard: ForkGuard, map_fd: int, size: int) -> None:
        self._guard = guard
        self._mapping: Mapping | None
        self._mapping = Mapping(kernel, map_fd, -(-size // _PAGE) * _PAGE, writable=True)
        guard.keep(self)  # a child that is forked must not end the session of its parent

    def write(self, writes: Sequence[tuple[int, bytes]]) -> None:
        """Write words in order, each as a whole; nothing once closed."""
        mapping = self._mapping
        if mapping is None:
            return
        for offset, data in writes:
            words = mapping.words(offset, len(data))
            for at in range(len(data) // _WORD):
                words[at] = int.from_bytes(data[_WORD * at : _WORD * at + _WORD], "little")
            words.release()
            # Some processors swap the order of stores. schedule() has a full barrier at its head
            # (smp_mb__after_spinlock), and sched_yield(2) always goes there.
            os.sched_yield()

    def close(self) -> None:
        """Unmap. Closing twice does nothing."""
        mapping, self._mapping = self._mapping, None
        self._guard.forget(self)
        if mapping is not None:
            mapping.close()


def await_programs(kernel: Kernel) -> None:
    """Return when every BPF program that runs now has ended.

    They run under rcu_read_lock, and MEMBARRIER_CMD_GLOBAL is a grace period of RCU; not so where
    a single CPU is online, nor with nohz_full, where it is refused (kernel/sched/membarrier.c).
    """
    try:
        kernel.membarrier_global()
    except OSError:
        time.sleep(WAIT_S)
        return
    if os.sysconf("SC_NPROCESSORS_ONLN") == 1:
        time.sleep(WAIT_S)
