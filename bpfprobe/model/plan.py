"""What will be done, each choice with its reason."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from bpfprobe.model.noun import dataclass
from bpfprobe.model.object import AttachType
from bpfprobe.model.site import TracepointSite
from bpfprobe.model.value import TextAt

if TYPE_CHECKING:
    from bpfprobe.model.arch import Arch
    from bpfprobe.model.bound import Bound
    from bpfprobe.model.layout import Layout
    from bpfprobe.model.machine import MachineFacts
    from bpfprobe.model.object import MapDef
    from bpfprobe.model.parameters import ParameterBlock
    from bpfprobe.model.site import Site
    from bpfprobe.model.value import Condition, Load, Parameter, Value


UPROBE, UPROBE_MULTI = "uprobe", "uprobe.multi"
"""Mechanisms of user space: a perf event each, or a link of its own kind for one place or many."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen, why, and what was turned down. ``obstacle`` says why it cannot work here."""

    name: str
    because: str
    turned_down: tuple[str, ...] = ()
    obstacle: str = ""
    way_out: str = ""


class Memory(Enum):
    """Where an event is put together."""

    RING = "reserved in the ring buffer"
    STACK = "on the stack"
    SCRATCH = "in memory of the CPU"
    SLOTS = "in one of several places of the CPU's memory, because the program can be preempted"


SCRATCH_SLOTS = 4
"""How many preempted programs of one probe may be at work on a CPU at once."""

STACK_TEXT_BYTES = 64
"""The longest text of a filter that is held on the stack; longer ones go to scratch memory."""


@dataclass(frozen=True, slots=True)
class Pairing:
    """How a return finds its entry.

    ``kept`` are values taken on entry, a u64 each; with ``keeps_time`` the moment is one more.
    ``more_sites`` are entries of further places, where the same program goes.
    With ``keeps_faults`` a last u64 has a bit for each value that could not be read.
    With ``by_frame`` the key is the thread and its stack pointer, which tells the calls of a
    recursion apart; without, the thread alone (a system call does not recurse).
    """

    site: Site
    kept: tuple[Value, ...]
    keeps_time: bool
    by_frame: bool
    map_index: int
    because: str
    keeps_faults: bool = False
    more_sites: tuple[Site, ...] = ()

    @property
    def words(self) -> int:
        """How many u64 are kept for each call."""
        return len(self.kept) + self.keeps_time + self.keeps_faults


@dataclass(frozen=True, slots=True)
class RangeRead:
    """Members of one struct that are read at once, as they lie near each other.

    They stand in the event as in the struct, with what is between them. ``names`` are those of
    the captures, ``loads`` their values, both in the order of the offsets. Where the range cannot
    be read, none of them is.
    """

    names: tuple[str, ...]
    loads: tuple[Load, ...]

    @property
    def size(self) -> int:
        """Bytes from the first of them to the end of the last."""
        last = self.loads[-1]
        return last.offset + last.type.size - self.loads[0].offset


@dataclass(frozen=True, slots=True)
class ProbePlan:
    """One probe: its place, its programs, its event.

    ``task_guards`` look only at who is running and come first in every program; ``guards`` follow,
    the cheapest first. An event is sent when all hold. ``shared_programs`` has for each place, that
    of ``site`` and then those of ``more_sites``, the number of the place whose
    program it shares.
    ``ranges`` are captures that are read together.
    ``shared_text`` names a capture whose text the guards look at as well: it is read once, to where
    it is to stand.
    """

    bound: Bound
    index: int
    mechanism: Choice
    site: Site
    pairing: Pairing | None
    task_guards: tuple[Condition, ...]
    guards: tuple[Condition, ...]
    layout: Layout
    memory: Choice
    placed: Memory
    scratch_map: int | None
    filter_text_bytes: int
    shared_programs: tuple[int, ...] = (0,)
    shared_text: str = ""
    ranges: tuple[RangeRead, ...] = ()
    more_sites: tuple[Site, ...] = ()

    @property
    def shared_value(self) -> TextAt | None:
        """The text of that capture."""
        for bound in self.bound.captures:
            if bound.capture.name == self.shared_text and isinstance(bound.value, TextAt):
                return bound.value
        return None

    @property
    def scratch_bytes(self) -> int:
        """Bytes of memory that the event is put together in: record, slack, text, busy flag."""
        layout = self.layout
        size = layout.head_size + layout.tail_size + layout.slack_size
        size = -(-size // 8) * 8 + self.filter_text_bytes
        return size + (8 if self.placed is Memory.SLOTS else 0)

    @property
    def is_tracepoint(self) -> bool:
        """Whether the programs are handed a tracepoint's record, not registers."""
        return isinstance(self.site, TracepointSite)

    @property
    def can_be_preempted(self) -> bool:
        """Whether another program of the probe may run on a CPU before one has ended there."""
        return self.mechanism.name in (UPROBE, UPROBE_MULTI)

    @property
    def attach_type(self) -> AttachType:
        """What the programs are loaded for."""
        multi = self.mechanism.name == UPROBE_MULTI
        return AttachType.UPROBE_MULTI if multi else AttachType.ANY

    @property
    def program(self) -> str:
        """The name of the C function; unique among the probes of a session."""
        return self.program_at(0)

    def program_at(self, place: int) -> str:
        """The name of the C function at one of several places."""
        number = self.shared_programs[place]
        at = f"_{number}" if number else ""
        return f"p{self.index}{at}_{self.bound.spec.name}"[:15].rstrip("_")

    @property
    def entry_program(self) -> str:
        """The name of the C function on entry, for a paired return probe."""
        return f"e{self.index}_{self.bound.spec.name}"[:15].rstrip("_")


@dataclass(frozen=True, slots=True)
class Plan:
    """All probes of a session and what they share. Sizes are in bytes.

    ``parameters`` is what the programs are handed in map ``parameter_map``. ``namespace`` has the
    slots there with the device and the inode of the pid namespace whose numbers are meant, None for
    the initial one.
    """

    facts: MachineFacts
    arch: Arch
    probes: tuple[ProbePlan, ...]
    maps: tuple[MapDef, ...]
    transport: Choice
    uses_ring: bool
    buffer_bytes: int
    wake_bytes: int
    latency_s: float
    parameters: ParameterBlock
    parameter_map: int
    namespace: tuple[Parameter, Parameter] | None = None

    @property
    def thread(self) -> str:
        """The C variable with process and thread by the numbers that are meant."""
        return "thread" if self.namespace is None else "here"
