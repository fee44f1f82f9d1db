"""Hands running programs other values than those they began with, without a gap."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from bpfprobe.engine.memory import Mapping

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bpfprobe.engine.syscalls import Kernel

_PAGE = os.sysconf("SC_PAGE_SIZE")
_WORD = 8
WAIT_S = 0.05
"""Where the kernel does not tell when the last program has ended: they take microseconds."""


def write_words(
    kernel: Kernel, map_fd: int, size: int, writes: Sequence[tuple[int, bytes]]
) -> None:
    """Write into the value of an ARRAY of one entry, made with MMAPABLE, of ``size`` bytes.

    Each write is an offset and bytes, both multiples of 8. A word is seen whole, and only after
    the writes before its own. Returns when no program runs any more that began before the last.
    Raises OSError.
    """
    mapping = Mapping(kernel, map_fd, -(-size // _PAGE) * _PAGE, writable=True)
    try:
        for offset, data in writes:
            words = mapping.words(offset, len(data))
            for at in range(len(data) // _WORD):
                words[at] = int.from_bytes(data[_WORD * at : _WORD * at + _WORD], "little")
            words.release()
            # Some processors swap the order of stores. schedule() has a full barrier at its head
            # (smp_mb__after_spinlock), and sched_yield(2) always goes there.
            os.sched_yield()
    finally:
        mapping.close()
    await_programs(kernel)


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
