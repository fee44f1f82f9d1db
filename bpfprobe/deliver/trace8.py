"""Events as rows of trace(8): ``TIME CPU PID TID COMM FUNC``, the message, stacks below."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from bpfprobe.deliver.escape import escape
from bpfprobe.deliver.message import message_text
from bpfprobe.deliver.stack import stack_lines
from bpfprobe.model.noun import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bpfprobe.deliver.clock import WallClock
    from bpfprobe.model.event import Event
    from bpfprobe.model.message import Message
    from bpfprobe.model.symbol import Symbolizer

SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Columns:
    """What stands in front of PID: ``time`` is "", "clock", "offset" or "unix".

    ``start_ns`` (CLOCK_MONOTONIC) is what offsets count from. ``addresses`` are those of stacks.
    """

    clock: WallClock
    start_ns: int
    time: str = ""
    cpu: bool = False
    addresses: bool = False


class MessageTable:
    """Rows of trace(8) for events of these classes."""

    def __init__(
        self,
        messages: Mapping[type[Event], Message],
        columns: Columns,
        symbols: Symbolizer,
        contains: str = "",
    ) -> None:
        self._messages = messages
        self._columns = columns
        self._symbols = symbols
        self._contains = contains

    def header(self) -> str:
        """The titles; the last is ``-`` where some probe has a message."""
        parts = []
        if self._columns.time:
            parts.append("TIME".ljust(17 if self._columns.time == "unix" else 8))
        if self._columns.cpu:
            parts.append("CPU")
        last = "-" if any(m.parts for m in self._messages.values()) else ""
        parts.append(f"{'PID':<7} {'TID':<7} {'COMM':<15} {'FUNC':<16} {last}")
        return " ".join(parts).rstrip()

    def rows(self, event: Event) -> str | None:
        """The lines of an event; None for one whose message lacks what was asked for."""
        message = self._messages[type(event)]
        text = message_text(message, event, self._symbols)
        if self._contains not in text:
            return None
        lead = (
            f"{event.pid:<7} {event.tid:<7} {escape(event.comm):<15} {escape(message.function):<16}"
        )
        line = " ".join([*self._front(event), lead, text]).rstrip()
        stacks = list(stack_lines(event, self._symbols, addresses=self._columns.addresses))
        return "\n".join([line, *stacks, ""] if stacks else [line])

    def _front(self, event: Event) -> Iterator[str]:
        columns = self._columns
        if columns.time == "clock":
            yield columns.clock.at(event.time).strftime("%H:%M:%S")
        elif columns.time == "offset":
            yield f"{(event.time - columns.start_ns) / SECOND_NS:.6f}"[:8].ljust(8)
        elif columns.time == "unix":
            yield f"{(event.time + columns.clock.ahead_ns) / SECOND_NS:.6f}".ljust(17)
        if columns.cpu:
            yield f"{event.cpu:<3}"


class Tally:
    """``-A``: how often each row came, the most frequent first."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def add(self, rows: str) -> None:
        """Count the lines of an event."""
        self._counts[rows.rstrip("\n")] += 1

    def lines(self) -> Iterator[str]:
        """Each row with its count, as trace(8) prints them."""
        for rows, count in self._counts.most_common():
            yield f"{rows}\n-->COUNT {count}\n"
