"""What a trace prints for each event."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from bpfprobe.deliver.clock import WallClock
from bpfprobe.model.noun import dataclass

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


def output_for(session: Session, probes: Sequence[Probe], args: argparse.Namespace) -> Output:
    """The output that the options ask for; the session is open."""
    from bpfprobe.cli.trace_probes import is_ftrace, is_trace8

    if args.json:
        from bpfprobe.deliver.json_lines import json_line

        return Output("", json_line)
    if is_ftrace(args):
        header, make = _ftrace(session, probes, args)
    elif any(is_trace8(probe.description) for probe in probes):
        header, make = _messages(session, probes, args)
    else:
        header, make = _table(session, probes, args)
    if not args.aggregate:
        return Output(header, make)
    from bpfprobe.deliver.trace8 import Tally

    return Output(header, make, Tally())


def _table(session: Session, probes: Sequence[Probe], args: argparse.Namespace) -> tuple[str, Rows]:
    from bpfprobe.deliver.table import Table

    clock = WallClock.now() if args.time else None
    table = Table([session.event_type(probe).layout for probe in probes], clock)
    if not table.has_stacks:
        return table.header(), table.row
    from bpfprobe.deliver.stack import stack_lines

    symbols = session.symbols

    def rows(event: Event) -> str:
        stacks = stack_lines(event, symbols, addresses=args.address)
        return "\n".join([table.row(event), *stacks])

    return table.header(), rows


def _messages(
    session: Session, probes: Sequence[Probe], args: argparse.Namespace
) -> tuple[str, Rows]:
    from bpfprobe.deliver.trace8 import Columns, MessageTable

    messages: dict[type[Event], Message] = {}
    for probe in probes:
        kind = session.event_type(probe)
        messages[kind] = probe.spec.message or _plain_message(probe.spec)
    shown_time = "clock" if args.time else ""
    if args.timestamp:
        shown_time = "unix" if args.unix_timestamp else "offset"
    columns = Columns(
        WallClock.now(), time.monotonic_ns(), shown_time, args.print_cpu, args.address
    )
    table = MessageTable(messages, columns, session.symbols, args.msg_filter or "")
    return table.header(), table.rows


def _plain_message(spec: ProbeSpec) -> Message:
    """Beside probes of trace(8): every value as NAME=VALUE."""
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
    return header, FtraceLines(spots, symbols).rows


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
