"""Trace queries slower than a threshold: flags and columns of bcc's dbslower 0.26, for PostgreSQL.

By the server's own USDT markers, in servers that start later too. Not there: mysql. More than that
one: queries up to 4 KB, and what was cut is marked.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import bpfprobe as bp

DEBIAN = "usr/lib/postgresql/*/bin/postgres"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Trace queries slower than a threshold")
    add = parser.add_argument
    add("db", choices=["postgres"], help="the database engine")
    add("-v", "--verbose", action="store_true", help="print the program for the kernel first")
    add("-p", "--pid", type=int, nargs="*", dest="pids", default=[], help="these processes only")
    add("-x", "--exe", metavar="PATH", help="the server's program (default: that of Debian)")
    add("-m", "--threshold", type=float, default=1.0, metavar="MS", help="slower than (1 ms)")
    return parser.parse_args()


def server(args: argparse.Namespace) -> str:
    if args.exe:
        return str(args.exe)
    if args.pids:
        return str(Path(f"/proc/{args.pids[0]}/exe").resolve())
    return str(max(Path("/").glob(DEBIAN), key=lambda path: len(str(path)), default="postgres"))


def main() -> None:
    args = arguments()
    program, wanted = server(args), " || ".join(f"pid == {pid}" for pid in args.pids) or None
    start, done = (
        bp.usdt(program, f"postgresql:{name}", comm=False, filter=wanted, query="$arg1:string")
        for name in ("query__start", "query__done")
    )
    session = bp.Session(start, done, ordered=True)
    if args.verbose:
        print(session.c_source())
    began: dict[int, bp.Event] = {}
    with session, session.until_interrupted():
        start_ns = time.monotonic_ns()
        who = f"pids {', '.join(map(str, args.pids))}" if args.pids else "application postgres"
        print(f"Tracing database queries for {who} slower than {args.threshold:g} ms...")
        print(f"{'TIME(s)':<14} {'PID':<7} {'MS':>8} QUERY", flush=True)
        session.on_idle(sys.stdout.flush)
        for event in session:
            if event.probe == start.name:
                began[event.pid] = event  # one at a time: a backend is a process
                continue
            begin = began.pop(event.pid, None)
            took_ms = (event.time - begin.time) / 1e6 if begin else 0.0
            if begin is None or took_ms < args.threshold:
                continue
            text = "(fault)" if begin.query is None else bp.escape(begin.query)
            text += "..." * ("query" in begin.truncated)
            print(f"{(event.time - start_ns) / 1e9:<14.6f} {event.pid:<7d} {took_ms:8.3f} {text}")
    if not session.statistics().complete:
        print(f"dbslower: {session.statistics()}", file=sys.stderr)


if __name__ == "__main__":
    bp.run_tool(main)
