"""``bpfprobe trace``: attach probes and print their events."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from typing import TYPE_CHECKING

from bpfprobe.errors import SessionError
from bpfprobe.tool import user_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bpfprobe.cli.child import Child
    from bpfprobe.model.event import Event
    from bpfprobe.probes import Probe
    from bpfprobe.session import Session

HELP = "attach probes and print their events until Ctrl-C"
EPILOG = """\
descriptions:
  KIND:PLACE [NAME=]VALUE[:TYPE] ... [if FILTER]     KIND is kprobe kretprobe uprobe uretprobe
                                                     tracepoint syscall
  p[:EVENT] PLACE ...    r[:EVENT] PLACE ...         the kernel's own form
values are names of arguments, members (file->f_path.dentry->d_name.name), $arg1, $retval, %REG,
+8(%REG), and pid tid uid gid comm cpu time ppid cgroup func argv retval duration.
types are u8..u64 s8..s64 x8..x64 char bool string ustring, and [N] after one.

What the tracer itself does is left out. A summary of what was seen and lost goes to stderr at the
end.

examples:
  bpfprobe trace 'kprobe:vfs_read count name=file->f_path.dentry->d_name.name if count > 4096'
  bpfprobe trace 'r:opened do_sys_openat2 path=filename:ustring fd=$retval:s32 if fd < 0'
  bpfprobe trace 'syscall:execve argv retval' --json
  bpfprobe trace -p 1234 'uretprobe:/bin/bash:readline line=$retval:string'
  bpfprobe trace -c 'ls /tmp' 'tracepoint:sched:sched_switch next_comm'
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG
    parser.add_argument("specs", metavar="SPEC", nargs="+", help="what to probe, see below")
    parser.add_argument("-p", "--pid", type=int, help="this process only")
    parser.add_argument("-t", "--tid", type=int, help="this thread only")
    parser.add_argument("-u", "--uid", metavar="USER", help="this user only, by name or number")
    parser.add_argument(
        "-c", "--command", metavar="CMD", help="run CMD, and trace it until it ends"
    )
    parser.add_argument("--duration", metavar="S", type=float, help="end after S seconds")
    parser.add_argument("--max-events", metavar="N", type=int, help="end after N events")
    parser.add_argument("--json", action="store_true", help="an object of JSON a line")
    parser.add_argument("-T", "--time", action="store_true", help="a column with the time of day")
    parser.add_argument("--transport", choices=("auto", "ring", "perf"), default="auto")
    parser.add_argument("--buffer-bytes", metavar="N", type=int, help="size of the buffer")


def run(args: argparse.Namespace) -> int:
    """Carry out the command line."""
    from bpfprobe.probes import probe
    from bpfprobe.session import Session

    probes = [probe(text) for text in args.specs]
    if args.pid is not None:
        # A place in a program is looked up, and attached to, in that process alone.
        probes = [described.of_process(args.pid) for described in probes]
    if args.command is not None and args.pid is not None:
        raise SessionError("-c and -p exclude each other", hint="-c traces the command it starts")
    child = _start_child(args)
    pid = child.pid if child is not None else args.pid
    session = Session(
        *probes,
        pid=pid,
        tid=args.tid,
        uid=user_id(args.uid),
        not_pid=os.getpid() if pid is None else None,
        transport=args.transport,
        buffer_bytes=args.buffer_bytes,
    )
    status = 0
    try:
        with session:
            _print_events(session, probes, args, child)
    except KeyboardInterrupt:
        pass  # Ctrl-C is how a trace ends
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    finally:
        if child is not None:
            child.end()
    sys.stdout.flush()
    print(f"bpfprobe: {session.statistics()}", file=sys.stderr)
    return status


def _start_child(args: argparse.Namespace) -> Child | None:
    if args.command is None:
        return None
    from bpfprobe.cli.child import Child

    return Child.start(args.command)


def _print_events(
    session: Session, probes: list[Probe], args: argparse.Namespace, child: Child | None
) -> None:
    line, header = _printer(session, probes, args)
    if header:
        print(header, flush=True)
    session.on_idle(sys.stdout.flush)
    if child is not None:
        signal.signal(signal.SIGCHLD, lambda _number, _frame: session.stop())
        child.go()
    for event in _events(session, args, child):
        print(line(event))


def _events(session: Session, args: argparse.Namespace, child: Child | None) -> Iterator[Event]:
    yield from session.events(duration=args.duration, max_events=args.max_events)
    if child is not None and args.max_events is None:
        yield from session.events(duration=0)  # what the command did last


def _printer(
    session: Session, probes: list[Probe], args: argparse.Namespace
) -> tuple[Callable[[Event], str], str]:
    if args.json:
        from bpfprobe.deliver.json_lines import json_line

        return json_line, ""
    from bpfprobe.deliver.clock import WallClock
    from bpfprobe.deliver.table import Table

    clock = WallClock.now() if args.time else None
    table = Table([session.event_type(probe).layout for probe in probes], clock)
    return table.row, table.header()
