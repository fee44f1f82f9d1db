"""What a trace prints for each event."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bpfprobe.deliver.clock import CurrentClock
from bpfprobe.deliver.front import JSON_NAMES, Front
from bpfprobe.model.noun import dataclass, replace
from bpfprobe.model.options import OptionError
from bpfprobe.model.printable import lines_text

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

    from bpfprobe.deliver.ftrace import Spot
    from bpfprobe.deliver.trace8 import Tally
    from bpfprobe.model.event import Event
    from bpfprobe.model.message import Message
    from bpfprobe.model.spec import KernelPoint, ProbeSpec
    from bpfprobe.model.symbol import Symbolizer
    from bpfprobe.probes import Probe
    from bpfprobe.session import Session

    Rows = Callable[[Event], str | None]


@dataclass(frozen=True, slots=True)
class Output:
    """``make`` gives the lines of an event, None for one that is left out.

    With a ``tally`` they are counted, and printed at the end.
    """

    header: str
    make: Rows
    tally: Tally | None = None

    def rows(self, event: Event) -> str | None:
        """What to print now: None for an event that does not count, "" for nothing yet."""
        rows = self.make(event)
        if rows is None or self.tally is None:
            return rows
        self.tally.add(rows)
        return ""

    def ending(self) -> Iterator[str]:
        """What to print at the end."""
        if self.tally is not None:
            yield from self.tally.lines()


def output_for(
    session: Session, probes: Sequence[Probe], args: argparse.Namespace, start_ns: int
) -> Output:
    """The output that the options ask for; the session is open.

    ``start_ns`` (CLOCK_MONOTONIC) is when the tracer began: ``--timestamp`` counts from it. Raises
    `OptionError` for a value whose name JSON would have twice.
    """
    from bpfprobe.cli.trace_probes import is_ftrace, is_trace8

    front = _front(args, start_ns)
    if args.json:
        header, make = "", _json(session, probes, front)
    elif is_ftrace(args):
        header, make = _ftrace(session, probes, args)
    elif any(is_trace8(probe.description) for probe in probes):
        header, make = _messages(session, probes, args, front)
    else:
        header, make = _table(session, probes, args, front)
    if args.msg_filter:
        make = _with_text(args.msg_filter, make, session, probes)
    if not args.aggregate:
        return Output(header, make)
    from bpfprobe.deliver.trace8 import Tally

    return Output(header, make, Tally())


def _front(args: argparse.Namespace, start_ns: int) -> Front:
    form = "clock" if args.time else ""
    if args.timestamp:
        form = "unix" if args.unix_timestamp else "offset"
    return Front(CurrentClock(), start_ns, form, args.print_cpu)


def _json(session: Session, probes: Sequence[Probe], front: Front) -> Rows:
    from bpfprobe.deliver.json_lines import json_line

    if not front.time:
        return json_line
    name = JSON_NAMES[front.time]
    for probe in probes:
        if any(field.name == name for field in session.event_type(probe).layout.fields):
            raise OptionError(
                f"{probe.name} has a value {name}, which is the name of the time too",
                hint="give the value another name, or leave the option out: time counts from boot",
            )
    return lambda event: json_line(event, front.members(event))


def _with_text(text: str, make: Rows, session: Session, probes: Sequence[Probe]) -> Rows:
    """Only the rows of events whose message has the text in it."""
    from bpfprobe.deliver.message import message_text

    messages, symbols = _message_of(session, probes), session.symbols

    def rows(event: Event) -> str | None:
        return make(event) if text in message_text(messages[type(event)], event, symbols) else None

    return rows


def _table(
    session: Session, probes: Sequence[Probe], args: argparse.Namespace, front: Front
) -> tuple[str, Rows]:
    from bpfprobe.deliver.table import Table

    front = replace(front, fraction=3)
    table = Table([session.event_type(probe).layout for probe in probes], front)
    if not table.has_stacks:
        return table.header(), table.row
    from bpfprobe.deliver.stack import stack_lines

    symbols = session.symbols

    def rows(event: Event) -> str:
        stacks = stack_lines(event, symbols, addresses=args.address)
        return lines_text([table.row(event), *stacks])

    return table.header(), rows


def _messages(
    session: Session, probes: Sequence[Probe], args: argparse.Namespace, front: Front
) -> tuple[str, Rows]:
    from bpfprobe.deliver.trace8 import MessageTable

    messages = _message_of(session, probes)
    table = MessageTable(messages, front, session.symbols, addresses=args.address)
    return table.header(), table.rows


def _message_of(session: Session, probes: Sequence[Probe]) -> dict[type[Event], Message]:
    return {
        session.event_type(probe): probe.spec.message or _plain_message(probe.spec)
        for probe in probes
    }


def _plain_message(spec: ProbeSpec) -> Message:
    """Of a probe that has no message of its own: every value as NAME=VALUE."""
    from bpfprobe.model.message import Conversion, Message, Shape

    parts: list[str | Conversion] = []
    for capture in spec.captures:
        if capture.name not in ("kstack", "ustack"):
            parts += [" " * bool(parts) + f"{capture.name}=", Conversion(Shape.TEXT, capture.name)]
    return Message(spec.name, tuple(parts))


def _ftrace(
    session: Session, probes: Sequence[Probe], args: argparse.Namespace
) -> tuple[str, Rows]:
    from bpfprobe.deliver.ftrace import FtraceLines

    symbols = session.symbols
    spots = {session.event_type(probe): spot(probe.spec, symbols) for probe in probes}
    header = FtraceLines.header(os.cpu_count() or 1) if args.headers else ""
    return header, FtraceLines(spots, symbols, addresses=args.address).rows


def spot(spec: ProbeSpec, symbols: Symbolizer) -> Spot:
    """Where a probe is, in the words of ftrace."""
    from bpfprobe.deliver.ftrace import Spot, place_text
    from bpfprobe.model.spec import SyscallPoint, TracepointPoint, UsdtPoint, UserPoint

    point = spec.point
    if isinstance(point, TracepointPoint):
        return Spot("")
    if isinstance(point, (SyscallPoint, UsdtPoint)):
        return Spot(point.name)
    if isinstance(point, UserPoint):
        number = point.offset if point.offset is not None else point.address or 0
        plus = f"+{point.plus:#x}" if point.plus else ""
        return Spot(f"{point.symbol or hex(number)}{plus}", user=True)
    if point.returns:
        return Spot(point.symbol or hex(point.address))
    address = point.address or _address(point)
    found = symbols.kernel(address + point.offset) if address else None
    if found is None:
        return Spot(f"{point.symbol or hex(point.address)}+{point.offset:#x}")
    return Spot(place_text(found, address))


def _address(point: KernelPoint) -> int:
    from bpfprobe.target.live import LiveTarget

    found = [symbol for symbol in LiveTarget().symbols(point.symbol) if symbol.is_text]
    return found[0].address if found else 0
