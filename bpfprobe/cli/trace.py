"""``bpfprobe trace``: attach probes and print their events."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

from bpfprobe.cli.letters import long_options
from bpfprobe.cli.trace_options import add_options
from bpfprobe.output import report, show_text
from bpfprobe.tool import user_id

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from bpfprobe.cli.child import Child
    from bpfprobe.cli.trace_output import Output
    from bpfprobe.model.event import Event
    from bpfprobe.probes import Probe
    from bpfprobe.session import Session

HELP = "attach probes and print their events until Ctrl-C"
add_arguments = add_options
MOST_UNHIT = 10
"""Probes that were never hit, each on a line."""


def rewritten(words: Sequence[str]) -> list[str]:
    """The words after the command, with letters that have several meanings spelt out."""
    return long_options(words)


def run(args: argparse.Namespace) -> int:
    """Carry out the command line."""
    from bpfprobe.cli.trace_checks import check_options
    from bpfprobe.cli.trace_object import object_path
    from bpfprobe.cli.trace_probes import describe_specs
    from bpfprobe.probes import Probe

    start_ns = time.monotonic_ns()
    check_options(args)
    path = object_path(args)
    probes = [] if path else [Probe(d) for d in describe_specs(args, os.uname().machine)]
    if args.format or args.ebpf:
        _show(probes, args)
        return 0
    child = _start_child(args)
    try:
        return _trace(path or probes, args, child, start_ns)
    finally:
        if child is not None:
            child.end()


def _trace(
    source: list[Probe] | str, args: argparse.Namespace, child: Child | None, start_ns: int
) -> int:
    """Run a session until it ends. Ctrl-C is how it does; before that it ends the process."""
    from bpfprobe.probes import Probe

    session = _session(source, args, child)
    session.on_notice(lambda notice: report(f"bpfprobe: {notice}"))
    probes = [probe for probe in session.probes if isinstance(probe, Probe)]
    if args.verbose:
        show_text(session.c_source())
    status, has_begun = 0, False
    try:
        with session, session.until_interrupted() as signals:
            has_begun = True
            _print_events(session, probes, args, child, start_ns)
        status = 128 + signal.SIGTERM if signal.SIGTERM in signals else 0
    except KeyboardInterrupt:
        if not has_begun:
            raise
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    sys.stdout.flush()
    report(f"bpfprobe: {session.statistics()}")
    _report_unhit(session, args)
    return status


def _report_unhit(session: Session, args: argparse.Namespace) -> None:
    """Say which probes were never hit; of many, that there are more."""
    command = shlex.split(args.command)[0] if args.command else None
    notices = session.never_hit(command=command)
    for notice in notices[:MOST_UNHIT]:
        report(f"bpfprobe: {notice}")
    if len(notices) > MOST_UNHIT:
        report(f"bpfprobe: and {len(notices) - MOST_UNHIT} more probes were never hit")


def _session(source: list[Probe] | str, args: argparse.Namespace, child: Child | None) -> Session:
    """Of probes, or of an object by its path."""
    from bpfprobe.session import Session

    pid = child.pid if child is not None else args.pid
    buffer_bytes = args.buffer_bytes
    if args.buffer_pages is not None:
        buffer_bytes = args.buffer_pages * os.sysconf("SC_PAGE_SIZE")
    options: dict[str, Any] = {
        "pid": None if args.follow else pid,  # its children are meant as well
        "tid": args.tid,
        "uid": user_id(args.uid),
        "not_pid": os.getpid() if pid is None and not args.include_self else None,
    }
    how = {
        "transport": args.transport,
        "buffer_bytes": buffer_bytes,
        "max_places": args.max_places,
        "follow": args.follow,
    }
    if isinstance(source, str):
        given = {name: value for name, value in how.items() if value not in ("auto", None)}
        # What the command maps is not known before its exec: places are looked up without it.
        options |= {"in_process": child is None, "trust_object": args.trust_object}
        return Session.from_file(source, **options, **given)
    return Session(*source, **options, **how)


def _show(probes: list[Probe], args: argparse.Namespace) -> None:
    """The fields of events, or the C; nothing is attached."""
    if args.ebpf:
        show_text(_session(probes, args, None).c_source().removesuffix("\n"))
        return
    from bpfprobe.cli.event_format import event_format
    from bpfprobe.pipeline import describe
    from bpfprobe.target.live import LiveTarget

    for planned in describe(probes, LiveTarget()).plan.probes:
        show_text(event_format(planned.layout))


def _start_child(args: argparse.Namespace) -> Child | None:
    if args.command is None:
        return None
    from bpfprobe.cli.child import Child

    return Child.start(args.command)


def _print_events(
    session: Session,
    probes: list[Probe],
    args: argparse.Namespace,
    child: Child | None,
    start_ns: int,
) -> None:
    from bpfprobe.cli.trace_output import output_for

    output = output_for(session, probes, args, start_ns)
    if output.header:
        show_text(output.header)
        sys.stdout.flush()

    session.on_idle(sys.stdout.flush)
    if child is not None:
        command = child
        signal.signal(
            signal.SIGCHLD, lambda _number, _frame: session.stop() if command.has_ended() else None
        )
        child.go()
        if child.has_ended():  # before there was a handler
            session.stop()
    try:
        _print_rows(_events(session, args, child), output, args)
    finally:
        for line in output.ending():
            show_text(line)


def _print_rows(events: Iterator[Event], output: Output, args: argparse.Namespace) -> None:
    """Until there are no more events, or ``--max-events`` rows have been printed."""
    left = args.max_events
    if left is not None and left <= 0:
        return
    waiting = 0
    for event in events:
        rows = output.rows(event)
        if rows is None:
            continue
        if rows:
            waiting = _show_rows(rows, waiting)
        if left is not None:
            left -= 1
            if not left:
                return


_MAX_WHOLE_BYTES = 4096
"""What others who write to the same pipe do not tear (PIPE_BUF, pipe(7))."""


def _show_rows(rows: str, waiting: int) -> int:
    """Print the rows of an event, and return at most how many bytes wait to be written.

    The buffer of the stream is never filled: it would be written up to the middle of a row.
    """
    size = len(rows) + 1 if rows.isascii() else 10 * len(rows)  # \UHHHHHHHH
    if waiting + size > _MAX_WHOLE_BYTES:
        sys.stdout.flush()
        waiting = 0
    show_text(rows)
    return waiting + size


def _events(session: Session, args: argparse.Namespace, child: Child | None) -> Iterator[Event]:
    yield from session.events(duration=args.duration, last=True)
    if child is not None:
        yield from session.events(duration=0, last=True)  # what the command did last
