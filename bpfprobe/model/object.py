"""What crosses the waterline: C text down to the compiler, bytecode and maps up to the kernel."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bpfprobe.model.span import Span


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
class Origin:
    """Lines of the C text, from 1, and the part of a description whose work they do."""

    first: int
    last: int
    span: Span


@dataclass(frozen=True, slots=True)
class CSource:
    """A whole translation unit for BCC, with the maps it counts on and the programs in it.

    ``header`` is the text of the one header that BCC includes first: all that the C text may
    count on, since no kernel header is read. ``origins`` say which part of which description
    lines of the text do the work of, ordered by line.
    """

    text: str
    header: str
    programs: tuple[ProgramDef, ...]
    maps: tuple[MapDef, ...]
    origins: tuple[Origin, ...] = ()

    def origin(self, line: int) -> Span | None:
        """The part of a description that a line (from 1) of the text does the work of."""
        return next((part.span for part in self.origins if part.first <= line <= part.last), None)


@dataclass(frozen=True, slots=True)
class Bytecode:
    """What the compiler made of a program: BPF instructions of 8 bytes each.

    ``lines`` has for each the line of the C text that it came from, 0 where that is not known; it
    is empty where nothing is.
    """

    program: ProgramDef
    instructions: bytes
    lines: tuple[int, ...] = ()
