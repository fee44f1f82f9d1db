"""``bpfprobe list --defined``: events in tracefs and the kprobes behind them, whoever made them."""

from __future__ import annotations

import dataclasses
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from bpfprobe.deliver.escape import escape
from bpfprobe.output import show, show_json
from bpfprobe.target.defined import with_states

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bpfprobe.model.defined import DefinedEvent, Maker, RegisteredKprobe
    from bpfprobe.target.event_files import EventFiles
    from bpfprobe.target.processes import Processes

_HEADER = ("EVENT", "KIND", "PLACE", "STATE", "ENABLED", "HITS", "MISSED", "MADE BY")
_RIGHT = frozenset({"HITS", "MISSED"})
_UNTOLD = "-"


def list_defined(
    files: EventFiles, processes: Processes, pattern: str, *, verbose: bool, as_json: bool
) -> int:
    """Print every event and kprobe that fits a glob; the exit status, 1 where there is none.

    Raises what `EventFiles.defined` does.
    """
    registered = files.registered()
    events, rest = with_states(files.defined(), registered or ())
    events = [e for e in events if fnmatchcase(str(e), pattern) or fnmatchcase(e.place, pattern)]
    rest = [probe for probe in rest if fnmatchcase(probe.place, pattern)]
    if as_json:
        told = {
            "events": [_as_object(event, files, processes) for event in events],
            "kprobes_of_no_event": [dataclasses.asdict(probe) for probe in rest],
            "kprobes_shown": registered is not None,
        }
        show_json(told)
    else:
        makers = [_made_by(event, files, processes) for event in events]
        for line in table(events, rest, makers, verbose=verbose):
            show(escape(line))
        if registered is None:
            show("states are in debugfs: mount -t debugfs debugfs /sys/kernel/debug, as root")
    return 0 if events or rest else 1


def table(
    events: Sequence[DefinedEvent],
    rest: Sequence[RegisteredKprobe],
    makers: Sequence[str],
    *,
    verbose: bool = False,
) -> Iterator[str]:
    """The lines that a person reads: a header, each event, then the kprobes of no event."""
    if not events and not rest:
        yield "nothing is defined"
        return
    rows = [_row(event, made) for event, made in zip(events, makers, strict=True)]
    rows += [_kprobe_row(probe) for probe in rest]
    widths = [max(len(row[n]) for row in (_HEADER, *rows)) for n in range(len(_HEADER))]
    definitions = [event.arguments for event in events] + [""] * len(rest)
    for row, arguments in zip((_HEADER, *rows), ("", *definitions), strict=True):
        cells = [
            cell.rjust(width) if name in _RIGHT else cell.ljust(width)
            for cell, width, name in zip(row, widths, _HEADER, strict=True)
        ]
        yield "  ".join(cells).rstrip()
        if verbose and arguments:
            yield f"    {arguments}"


def _row(event: DefinedEvent, made_by: str) -> tuple[str, ...]:
    return (
        str(event),
        f"{event.kind}{event.maxactive or ''}",
        event.place or _UNTOLD,
        _UNTOLD if event.states is None else " ".join(event.states) or "ARMED",
        _UNTOLD if event.enabled is None else ("yes" if event.enabled else "no"),
        _UNTOLD if event.hits is None else str(event.hits),
        _UNTOLD if event.misses is None else str(event.misses),
        made_by,
    )


def _kprobe_row(probe: RegisteredKprobe) -> tuple[str, ...]:
    module = f"{probe.module}:" if probe.module else ""
    kind, states = "r" if probe.returns else "p", " ".join(probe.states) or "ARMED"
    made_by = "perf_event_open(2), or a module"
    return (_UNTOLD, kind, f"{module}{probe.place}", states, *[_UNTOLD] * 3, made_by)


def _made_by(event: DefinedEvent, files: EventFiles, processes: Processes) -> str:
    maker = event.maker
    if maker is None:
        return _UNTOLD
    return f"{maker.tool}, {_life(maker, event, files, processes)}" if maker.pid else maker.tool


def _life(maker: Maker, event: DefinedEvent, files: EventFiles, processes: Processes) -> str:
    life = processes.life(maker.pid, files.made_at(event))
    return life.evidence if life.ended is not None else f"process {maker.pid}"


def _as_object(event: DefinedEvent, files: EventFiles, processes: Processes) -> dict[str, object]:
    maker = event.maker
    told = dataclasses.asdict(event)
    told["maker"] = None
    if maker is not None:
        ended = processes.life(maker.pid, files.made_at(event)).ended if maker.pid else None
        told["maker"] = {"tool": maker.tool, "pid": maker.pid or None, "ended": ended}
    return told
