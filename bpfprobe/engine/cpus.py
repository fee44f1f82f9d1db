"""Which CPUs there are, and which run now."""

from __future__ import annotations

import os

from bpfprobe.errors import LoadError

_FOLDER = "/sys/devices/system/cpu"


def parse_cpu_list(text: str) -> tuple[int, ...]:
    """The numbers of a kernel list such as ``0-11,16-27``. Raises ValueError."""
    numbers: list[int] = []
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        numbers += range(int(first), int(last or first) + 1)
    return tuple(numbers)


def possible_cpus() -> tuple[int, ...]:
    """CPUs that could ever come online: as many as a per-CPU map has values.

    Raises `LoadError` (code CPUS): to guess would let the kernel write past a buffer.
    """
    return _read("possible")


def online_cpus() -> tuple[int, ...]:
    """CPUs that run now. Raises `LoadError` (code CPUS)."""
    return _read("online")


def cpu_life(cpu: int) -> int:
    """A number that is another one each time the CPU comes online; 0 where it cannot be had.

    The inode of a directory that the kernel makes anew whenever it starts the CPU
    (drivers/base/topology.c, Linux 4.10).
    """
    try:
        return os.stat(f"{_FOLDER}/cpu{cpu}/topology").st_ino  # noqa: PTH116  # looked at often
    except OSError:
        return 0


def _read(name: str) -> tuple[int, ...]:
    path = f"{_FOLDER}/{name}"
    try:
        with open(path) as file:
            return parse_cpu_list(file.read())
    except (OSError, ValueError) as error:
        raise LoadError(
            f"the CPUs could not be counted: {error}", hint=f"mount /sys ({path})", code="CPUS"
        ) from error
