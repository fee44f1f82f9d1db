"""Whether there is memory for perf buffers, asked before they are taken.

The kernel takes their pages one by one (rb_alloc() of kernel/events/ring_buffer.c), and ends
processes to find more; for a ring buffer, which is asked for in one piece, it only refuses.
"""

from __future__ import annotations

import os

from bpfprobe.engine.cpus import online_cpus
from bpfprobe.errors import LoadError

_MEMINFO = "/proc/meminfo"


def check_available(pages_per_cpu: int) -> None:
    """Raise `LoadError` (NO_MEMORY) where buffers of all CPUs are more than is available."""
    try:
        with open(_MEMINFO) as file:
            available = available_bytes(file.read())
    except OSError:  # /proc is not mounted: the kernel will tell
        return
    per_cpu = pages_per_cpu * os.sysconf("SC_PAGE_SIZE")
    wanted = per_cpu * len(online_cpus())
    if available is not None and wanted > available:
        raise LoadError(
            f"perf buffers of {per_cpu >> 10} KiB a CPU take {wanted >> 10} KiB, and "
            f"{available >> 10} KiB of memory are available",
            hint="a smaller buffer_bytes (--buffer-bytes), which is the size for each CPU",
            code="NO_MEMORY",
        )


def available_bytes(meminfo: str) -> int | None:
    """Return MemAvailable (Linux 3.14) of the text of /proc/meminfo, None where it has none."""
    for line in meminfo.splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return int(value.split()[0]) << 10
    return None
