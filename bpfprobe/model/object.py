"""What crosses the waterline: C text down to the compiler, bytecode and maps up to the kernel.

An `Object` is all that is needed to load, attach, read and deliver: what stands above the waterline
made it, and is not asked again. It can be kept in a file.
"""

from __future__ import annotations

from enum import Enum

from bpfprobe.model.noun import dataclass
from bpfprobe.model.site import count_places

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bpfprobe.model.layout import Layout
    from bpfprobe.model.site import Site
    from bpfprobe.model.span import Span

COUNTERS = (
    *("produced", "lost", "entries", "refused", "unmatched", "inflight_full", "quiet"),
    "after_end",
)
"""What each probe counts on each CPU, a u64 each, in this order.

``refused`` are returns whose call had an entry, and that the filter did not want; the others of
these are ``produced``. ``quiet`` is for the program alone: how many bytes it may still send without
waking the reader. ``after_end`` are returns of remembered calls since the session ended.
"""

EVENTS_MAP, COUNTERS_MAP = 0, 1
"""The numbers of the maps that all probes share."""

INFLIGHT_KEY_BYTES = 16
"""A thread and a stack pointer, a u64 each."""


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
    ``bpf_pseudo_fd(1, N)``, or with a 2 the address of the value of an ARRAY of one entry (Linux
    5.2), and the loader puts the real file descriptor there. ``initial``, where it is not empty, is
    put into the one entry of an ARRAY before any program is loaded.
    """

    name: str
    kind: MapKind
    key_size: int
    value_size: int
    max_entries: int
    flags: int = 0
    initial: bytes = b""


MMAPABLE = 1 << 10
"""A flag of `MapDef` (BPF_F_MMAPABLE, Linux 5.5): the value can be written word by word."""


class ProgramKind(Enum):
    """Kinds of BPF program, with the kernel's numbers (``enum bpf_prog_type``)."""

    KPROBE = 2  # kprobes, kretprobes, uprobes and uretprobes alike
    TRACEPOINT = 5


class AttachType(Enum):
    """What a program of a kind is loaded for, with the kernel's numbers (``bpf_attach_type``)."""

    ANY = 0
    UPROBE_MULTI = 48  # Linux 6.6, commit 89ae89f53d20


@dataclass(frozen=True, slots=True)
class ProgramDef:
    """A function of the C text that becomes a program. Its name has at most 15 characters."""

    name: str
    kind: ProgramKind
    attach_type: AttachType = AttachType.ANY


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


@dataclass(frozen=True, slots=True)
class ProbeWiring:
    """One probe: its event, and which program goes where.

    A return probe whose calls are remembered has a second program at ``entry_site``, and
    ``inflight_map`` is the number of the map that it fills; without, it is -1. ``more`` are further
    places, each after the program that goes there: those of returns, then those of their entries.
    """

    layout: Layout
    site: Site
    program: str
    entry_site: Site | None = None
    entry_program: str = ""
    inflight_map: int = -1
    more: tuple[tuple[str, Site], ...] = ()

    @property
    def places(self) -> int:
        """How many places the probe goes to; a return is one, with its entry."""
        more = (site for program, site in self.more if program != self.entry_program)
        return count_places((self.site, *more))

    @property
    def entries(self) -> tuple[Site, ...]:
        """Every place where calls are remembered."""
        if self.entry_site is None:
            return ()
        more = (site for program, site in self.more if program == self.entry_program)
        return (self.entry_site, *more)


@dataclass(frozen=True, slots=True)
class Wiring:
    """An object without its code: maps, places, buffer. Sizes are in bytes.

    ``buffer_bytes`` is that of the ring, or of the perf buffer of each CPU. ``parameter_map`` is
    the number of the map that holds what programs are handed; ``option_offsets`` are the places in
    its first value of the u64 that come from options of the session, by name.
    """

    maps: tuple[MapDef, ...]
    probes: tuple[ProbeWiring, ...]
    uses_ring: bool
    buffer_bytes: int
    wake_bytes: int
    page_size: int
    parameter_map: int
    option_offsets: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Object:
    """What was compiled: programs, and how they are to be wired up."""

    wiring: Wiring
    programs: tuple[Bytecode, ...]
