"""What crosses the waterline: C text down to the compiler, bytecode and maps up to the kernel."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class MapKind(Enum):
    """Kinds of BPF map, with the kernel's numbers (``enum bpf_map_type`` of <linux/bpf.h>)."""

    HASH = 1
    ARRAY = 2
    PERF_EVENT_ARRAY = 4
    PERCPU_ARRAY = 6
    LRU_HASH = 9
    RINGBUF = 27


@dataclass(frozen=True, slots=True)
class MapDef:
    """A map to create. Sizes are in bytes; for RINGBUF ``max_entries`` is the size in bytes.

    The place of a map in `CSource.maps` is its number in the C text: the program names map N as
    ``bpf_pseudo_fd(1, N)``, and the loader puts the real file descriptor there.
    """

    name: str
    kind: MapKind
    key_size: int
    value_size: int
    max_entries: int
    flags: int = 0


class ProgramKind(Enum):
    """Kinds of BPF program, with the kernel's numbers (``enum bpf_prog_type``)."""

    KPROBE = 2  # kprobes, kretprobes, uprobes and uretprobes alike
    TRACEPOINT = 5


@dataclass(frozen=True, slots=True)
class ProgramDef:
    """A function of the C text that becomes a program. Its name has at most 15 characters."""

    name: str
    kind: ProgramKind


@dataclass(frozen=True, slots=True)
class CSource:
    """A whole translation unit for BCC, with the maps it counts on and the programs in it.

    ``header`` is the text of the one header that BCC includes first: all that the C text may
    count on, since no kernel header is read.
    """

    text: str
    header: str
    programs: tuple[ProgramDef, ...]
    maps: tuple[MapDef, ...]


@dataclass(frozen=True, slots=True)
class Bytecode:
    """What the compiler made of a program: BPF instructions of 8 bytes each."""

    program: ProgramDef
    instructions: bytes
