"""Trace exec() system calls: flags and columns of bcc's execsnoop 0.26, the one of Debian 12.

More than that one: execveat(2), all arguments in one event, what was cut or lost is marked.
Not there: --cgroupmap and --mntnsmap; --cgroup PATH filters by cgroup.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from pathlib import Path

import bpfprobe as bp

EPILOG = """examples:
  execsnoop.py -x             include failed exec()s
  execsnoop.py -T -U          with the time of day and the user
  execsnoop.py -P 181         new processes of parent 181 only
  execsnoop.py -n main        names that match "main"
  execsnoop.py -l tpkg        arguments that match "tpkg"
"""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Trace exec() system calls",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("-T", "--time", action="store_true", help="time column (HH:MM:SS)")
    add("-t", "--timestamp", action="store_true", help="seconds since the start")
    add("-x", "--fails", action="store_true", help="include failed exec()s")
    add("-u", "--uid", metavar="USER", help="this user only, by name or number")
    add("-q", "--quote", action="store_true", help='add quotemarks (") around arguments')
    add("-n", "--name", type=re.compile, help="only commands whose name matches (regex)")
    add("-l", "--line", type=re.compile, help="only commands whose arguments match (regex)")
    add("-U", "--print-uid", action="store_true", help="UID column")
    add("--max-args", type=int, metavar="N", help="show N arguments at most (default: all)")
    add("-P", "--ppid", type=int, help="this parent only")
    add("--cgroup", metavar="PATH", help="this cgroup (a directory of cgroup2) only")
    add("--duration", type=float, metavar="S", help="end after S seconds")
    add("--max-events", type=int, metavar="N", help="end after N events")
    add("--ebpf", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def probes(args: argparse.Namespace) -> list[bp.Probe]:
    wanted = [] if args.fails else ["retval == 0"]
    if args.ppid is not None:
        wanted.append(f"ppid == {args.ppid}")
    if args.cgroup is not None:
        wanted.append(f"cgroup == {Path(args.cgroup).stat().st_ino}")
    condition = " && ".join(wanted) or None
    values = {"args": "argv", "ret": "retval:s32", "ppid": "ppid", "uid": "uid"}
    return [bp.syscall(name, filter=condition, captures=values) for name in ("execve", "execveat")]


def row(event: bp.Event, args: argparse.Namespace, clock: bp.WallClock, start_ns: int) -> str:
    words = [bp.escape(word) for word in event.args or ()][: args.max_args]
    if args.quote:
        words = ['"' + word.replace('"', '\\"') + '"' for word in words]
    if "args" in event.truncated or len(words) < len(event.args or ()):
        words.append("...")
    before = f"{clock.at(event.time):%H:%M:%S} " if args.time else ""
    before += f"{(event.time - start_ns) / 1e9:<8.3f}" if args.timestamp else ""
    before += f"{event.uid:<6d}" if args.print_uid else ""
    text = " ".join(words) if event.args is not None else "(fault)"
    return (
        f"{before}{bp.escape(event.comm):<16} {event.pid:<7d} {event.ppid:<7} {event.ret:3d} {text}"
    )


def main() -> None:
    args = arguments()
    session = bp.Session(*probes(args), uid=bp.user_id(args.uid))
    if args.ebpf:
        print(session.c_source())
        return
    clock, start_ns = bp.WallClock.now(), time.monotonic_ns()
    with session, session.until_interrupted():
        title = "TIME     " * args.time + "TIME(s) " * args.timestamp + "UID   " * args.print_uid
        print(f"{title}{'PCOMM':<16} {'PID':<7} {'PPID':<7} {'RET':>3} ARGS", flush=True)
        session.on_idle(sys.stdout.flush)
        for event in session.events(duration=args.duration, max_events=args.max_events, last=True):
            line = " ".join(event.args or ())
            if args.name and not args.name.search(event.comm):
                continue
            if not args.line or args.line.search(line):
                print(row(event, args, clock, start_ns))
    if not session.statistics().complete:
        print(f"execsnoop: {session.statistics()}", file=sys.stderr)


if __name__ == "__main__":
    bp.run_tool(main)
