"""Events as the lines of tracefs' ``trace`` file, which kprobe(8) and uprobe(8) show.

The five characters behind the CPU (interrupts off, ...) are dots: a BPF program is not told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.deliver.escape import escape
from bpfprobe.deliver.ftrace_text import ftrace_values
from bpfprobe.model.event import of_hit
from bpfprobe.model.layout import FieldKind
from bpfprobe.model.noun import dataclass
from bpfprobe.model.printable import lines_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bpfprobe.model.event import Event
    from bpfprobe.model.symbol import Location, Symbolizer

RETURN_FIELD = "_caller"
"""The capture that holds the address a return probe returns to."""

_HEADER = """\
# tracer: nop
#
# entries-in-buffer/entries-written: 0/0   #P:{cpus}
#
#                                _-----=> irqs-off/BH-disabled
#                               / _----=> need-resched
#                              | / _---=> hardirq/softirq
#                              || / _--=> preempt-depth
#                              ||| / _-=> migrate-disable
#                              |||| /     delay
#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION
#              | |         |   |||||     |         |"""


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a probe is, as ftrace writes it: ``vfs_read+0x0/0x320``, or the function alone for a
    return; empty for a tracepoint. ``user`` is for a place in a program.
    """

    text: str
    user: bool = False


class FtraceLines:
    """Lines for events of these classes.

    With ``addresses`` kernel stacks have them, as with the option ``sym-addr`` of tracefs.
    """

    def __init__(
        self,
        spots: Mapping[type[Event], Spot],
        symbols: Symbolizer,
        *,
        addresses: bool = False,
    ) -> None:
        self._spots = spots
        self._symbols = symbols
        self._addresses = addresses

    @staticmethod
    def header(cpus: int) -> str:
        """The block at the head of the ``trace`` file (its form since Linux 5.17)."""
        return _HEADER.format(cpus=cpus)

    def rows(self, event: Event) -> str:
        """The line of an event, and those of its stacks."""
        stacks = [f for f in event.layout.fields if f.kind is FieldKind.STACK]
        left_out = {RETURN_FIELD, *(field.name for field in stacks)}
        words = [f"{event.probe}:"]
        if spot := self._spot(event):
            words.append(f"({spot})")
        words += [f"{name}={text}" for name, text in ftrace_values(event) if name not in left_out]
        front = self._front(event)
        lines = [f"{front} {' '.join(words)}"]
        for field in stacks:
            lines.append(f"{front} <{'user ' * field.user}stack trace>")
            lines += self._stack(event, field.name, user=field.user)
        return lines_text(lines)

    @staticmethod
    def _front(event: Event) -> str:
        comm = escape(of_hit(event, "comm")) if "comm" in event.names() else "<...>"
        seconds, rest = divmod(of_hit(event, "time") // 1000, 1_000_000)
        tid, cpu = of_hit(event, "tid"), of_hit(event, "cpu")
        return f"{comm:>16}-{tid:<7} [{cpu:03}] ..... {seconds:5}.{rest:06}:"

    def _spot(self, event: Event) -> str:
        spot = self._spots[type(event)]
        caller = getattr(event, RETURN_FIELD, None)
        if caller is None:
            return spot.text
        if spot.user:
            return f"{caller:#x} <- {spot.text}"
        return f"{place_text(self._symbols.kernel(caller), caller)} <- {spot.text}"

    def _stack(self, event: Event, name: str, *, user: bool) -> list[str]:
        frames = getattr(event, name)
        if frames is None:
            return [" => (fault)"]
        if user:
            pid = of_hit(event, "pid")
            return [f" => {_user_text(self._symbols.user(pid, at), at)}" for at in frames]
        address = " <{:016x}>" if self._addresses else ""  # as seq_print_sym() of the kernel
        return [f" => {_name(self._symbols.kernel(at), at)}{address.format(at)}" for at in frames]


def place_text(place: Location | None, address: int) -> str:
    """``NAME+0xOFFSET/0xSIZE [MODULE]``, as %pS prints it."""
    if place is None:
        return f"{address:#x}"
    size = f"/{place.size:#x}" if place.size else ""
    module = f" [{escape(place.module)}]" if place.module else ""
    return f"{escape(place.name)}+{place.offset:#x}{size}{module}"


def _name(place: Location | None, address: int) -> str:
    return escape(place.name) if place else f"{address:#x}"


def _user_text(place: Location | None, address: int) -> str:
    if place is None:
        return f"<{address:016x}>"
    return f" {escape(place.module)}[+{place.offset:#x}] <{address:016x}>"
