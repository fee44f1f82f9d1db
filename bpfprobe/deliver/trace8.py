"""Events as rows of trace(8): ``TIME CPU PID TID COMM FUNC``, the message, stacks below."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from bpfprobe.deliver.escape import escape
from bpfprobe.deliver.message import message_text
from bpfprobe.deliver.stack import stack_lines
from bpfprobe.model.printable import lines_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bpfprobe.deliver.front import Front
    from bpfprobe.model.event import Event
    from bpfprobe.model.message import Message
    from bpfprobe.model.symbol import Symbolizer


class MessageTable:
    """Rows of trace(8) for events of these classes."""

    def __init__(
        self,
        messages: Mapping[type[Event], Message],
        front: Front,
        symbols: Symbolizer,
        *,
        addresses: bool = False,
    ) -> None:
        self._messages = messages
        self._front = front
        self._symbols = symbols
        self._addresses = addresses

    def header(self) -> str:
        """The titles; the last is ``-`` where some probe has a message."""
        last = "-" if any(m.parts for m in self._messages.values()) else ""
        titles = f"{'PID':<7} {'TID':<7} {'COMM':<15} {'FUNC':<16} {last}"
        return " ".join([*self._front.titles(), titles]).rstrip()

    def rows(self, event: Event) -> str:
        """The lines of an event."""
        message = self._messages[type(event)]
        text = message_text(message, event, self._symbols)
        lead = (
            f"{event.pid:<7} {event.tid:<7} {escape(event.comm):<15} {escape(message.function):<16}"
        )
        line = " ".join([*self._front.cells(event), lead, text]).rstrip()
        stacks = list(stack_lines(event, self._symbols, addresses=self._addresses))
        return lines_text([line, *stacks, ""] if stacks else [line])


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
