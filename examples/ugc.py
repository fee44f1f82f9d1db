"""Show garbage collections of a CPython process: flags and columns of bcc's ugc 0.26.

For CPython with USDT markers, as Debian builds it; other languages are not there.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import bpfprobe as bp


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Show garbage collections of a CPython process")
    add = parser.add_argument
    add("-l", "--language", choices=["python"], default="python", help="its language")
    add("-v", "--verbose", action="store_true", help="print the program for the kernel first")
    add("-m", "--milliseconds", action="store_true", help="times in ms (default: microseconds)")
    add("-M", "--minimum", type=int, default=0, metavar="MS", help="only those that took longer")
    add("-F", "--filter", default="", help="only those whose description contains this text")
    add("pid", type=int, help="the process")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    program = str(Path(f"/proc/{args.pid}/exe").resolve())
    start = bp.usdt(program, "python:gc__start", pid=args.pid, comm=False, generation="$arg1")
    done = bp.usdt(program, "python:gc__done", pid=args.pid, comm=False, objects="$arg1")
    session = bp.Session(start, done, ordered=True)
    if args.verbose:
        print(session.c_source())
    began: dict[int, bp.Event] = {}
    with session, session.until_interrupted():
        start_ns = time.monotonic_ns()
        print(f"Tracing garbage collections in python process {args.pid}... Ctrl-C to quit.")
        title = "TIME (ms)" if args.milliseconds else "TIME (us)"
        print(f"{'START':<8} {title:<8} {'DESCRIPTION':<40}", flush=True)
        session.on_idle(sys.stdout.flush)
        for event in session:
            if event.probe == start.name:
                began[event.tid] = event
                continue
            begin = began.pop(event.tid, None)
            if begin is None:  # under way when this started
                continue
            text = f"gen {begin.generation} GC collected {event.objects} objects"
            took_ns = event.time - begin.time
            if took_ns < args.minimum * 1_000_000 or args.filter not in text:
                continue
            took = took_ns / (1e6 if args.milliseconds else 1e3)
            print(f"{(event.time - start_ns) / 1e9:<8.3f} {took:<8.2f} {text}")
    if not session.statistics().complete:
        print(f"ugc: {session.statistics()}", file=sys.stderr)


if __name__ == "__main__":
    bp.run_tool(main)
