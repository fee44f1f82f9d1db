"""Trace open() system calls: flags and columns of bcc's opensnoop 0.26, the one of Debian 12.

Not there: --cgroupmap and --mntnsmap.
"""

from __future__ import annotations

import argparse
import os
import sys
from functools import reduce
from operator import or_
from pathlib import Path

import bpfprobe as bp

AT_FDCWD = -100


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Trace open() system calls")
    add, yes = parser.add_argument, "store_true"
    add("-T", "--timestamp", action=yes, help="seconds since the first event")
    add("-U", "--print-uid", action=yes, help="UID column")
    add("-x", "--failed", action=yes, help="failed opens only")
    add("-p", "--pid", type=int, help="this process only")
    add("-t", "--tid", type=int, help="this thread only")
    add("-u", "--uid", metavar="USER", help="this user only, by name or number")
    add("-d", "--duration", type=float, metavar="S", help="end after S seconds")
    add("-n", "--name", default="", help="only processes whose name contains this")
    add("-e", "--extended_fields", action=yes, help="show the flags")
    flags = [name for name in dir(os) if name.startswith("O_")]
    add("-f", "--flag_filter", action="append", choices=flags, default=[], metavar="O_X",
        help="calls with this flag only (repeatable)")  # fmt: skip
    add("-F", "--full-path", action=yes, help="complete relative paths")
    add("-b", "--buffer-pages", type=int, default=1024, help="size of the buffer in pages")
    add("--ebpf", action=yes, help=argparse.SUPPRESS)
    return parser.parse_args()


def probes(args: argparse.Namespace) -> list[bp.Probe]:
    flags = reduce(or_, (getattr(os, name) for name in args.flag_filter), 0)
    wanted = ["fd < 0"] * args.failed + [f"flags & {flags}"] * bool(flags)
    condition = " && ".join(wanted) or None
    values = {"path": "filename", "fd": "retval:s32", "uid": "uid"}
    at = {"dfd": "dfd", **values}
    made = {"openat": {"flags": "flags", **at}, "openat2": {"flags": "how->flags:s32", **at}}
    if os.uname().machine == "x86_64":  # newer processors never had it
        made["open"] = {"flags": "flags", "dfd": f"{AT_FDCWD}:s32", **values}
    return [bp.syscall(name, filter=condition, captures=fields) for name, fields in made.items()]


def full_path(event: bp.Event) -> str:
    place = "cwd" if event.dfd == AT_FDCWD else f"fd/{event.dfd}"
    try:
        return str(Path(f"/proc/{event.pid}/{place}").readlink() / event.path)
    except OSError:  # it has ended since
        return f"?/{event.path}"


def row(event: bp.Event, args: argparse.Namespace, start_ns: int) -> str:
    path = event.path
    if args.full_path and path is not None and not path.startswith("/"):
        path = full_path(event)
    before = f"{(event.time - start_ns) / 1e9:<14.9f}" if args.timestamp else ""
    before += f"{event.uid:<6d}" if args.print_uid else ""
    fd, errno = (event.fd, 0) if event.fd >= 0 else (-1, -event.fd)
    who = event.tid if args.tid else event.pid
    flags = f"{event.flags or 0:08o} " if args.extended_fields else ""
    text = "(fault)" if path is None else bp.escape(path) + "..." * ("path" in event.truncated)
    return f"{before}{who:<6d} {bp.escape(event.comm):<16} {fd:4d} {errno:3d} {flags}{text}"


def main() -> None:
    args = arguments()
    who = {"tid": args.tid} if args.tid is not None else {"pid": args.pid}
    size = args.buffer_pages * os.sysconf("SC_PAGE_SIZE")
    uid = bp.user_id(args.uid)
    session = bp.Session(*probes(args), **who, uid=uid, not_pid=os.getpid(), buffer_bytes=size)
    if args.ebpf:
        print(session.c_source())
        return
    start_ns = None
    with session, session.until_interrupted():
        title = f"{'TIME(s)':<14}" * args.timestamp + f"{'UID':<6}" * args.print_uid
        title += f"{'TID' if args.tid else 'PID':<6} {'COMM':<16} {'FD':>4} {'ERR':>3} "
        print(title + f"{'FLAGS':<9}" * args.extended_fields + "PATH", flush=True)
        session.on_idle(sys.stdout.flush)
        for event in session.events(duration=args.duration, last=True):
            start_ns = start_ns or event.time
            if args.name in event.comm:
                print(row(event, args, start_ns))
    if not session.statistics().complete:
        print(f"opensnoop: {session.statistics()}", file=sys.stderr)


if __name__ == "__main__":
    bp.run_tool(main)
