"""Count calls of functions: flags and columns of bcc's funccount 0.26.

Patterns are LIBRARY:GLOB, u:LIBRARY:MARKER, t:CATEGORY:NAME, and a kernel function by its name. Not
there: -r and other globs. --follow goes on to libraries and children that come later. Each call is
an event, counted here in arrays and not in the kernel.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

import bpfprobe as bp


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Count functions, tracepoints and USDT markers")
    add, never = parser.add_argument, float("inf")
    add("-p", "--pid", type=int, help="this process only")
    add("-i", "--interval", type=float, default=never, metavar="S", help="print every S seconds")
    add("-d", "--duration", type=float, default=never, metavar="S", help="end after S seconds")
    add("-T", "--timestamp", action="store_true", help="with the time of day")
    add("-D", "--debug", action="store_true", help="print the program for the kernel first")
    add("-c", "--cpu", type=int, help="this CPU only")
    add("--follow", action="store_true", help="and what is loaded later")
    add("pattern", help="what to count")
    return parser.parse_args()


def probe(pattern: str, pid: int | None, wanted: str | None) -> bp.Probe:
    kind, _, rest = pattern.partition(":")
    if kind == "t":
        return bp.tracepoint(rest, comm=False, filter=wanted)
    if kind == "u":
        path, _, marker = rest.partition(":")
        return bp.usdt(path, marker, pid=pid, comm=False, filter=wanted)
    path, _, name = (rest if kind == "p" else pattern).rpartition(":")
    if not path:
        return bp.kprobe(name, comm=False, filter=wanted)
    return bp.uprobe(path, name, pid=pid, comm=False, filter=wanted, func="func")


def main() -> None:
    args, counts = arguments(), Counter[str]()
    counted = probe(args.pattern, args.pid, None if args.cpu is None else f"cpu == {args.cpu}")
    session = bp.Session(counted, pid=None if args.follow else args.pid, follow=args.follow)
    if args.follow:
        session.on_notice(lambda notice: print(bp.escape(str(notice)), file=sys.stderr, flush=True))
    if args.debug:
        print(session.c_source())
    with session, session.until_interrupted() as signals:
        fields = session.event_type(counted).layout.fields
        names = next((f.names for f in fields if f.names), (counted.name,))
        print(f'Tracing {len(names)} functions for "{args.pattern}"... Hit Ctrl-C to end.')
        print(end="", flush=True)
        end, last = time.monotonic() + args.duration, False
        while not last and ((left := end - time.monotonic()) > 0 or signals):
            last = bool(signals)
            for batch in session.batches(duration=0 if last else min(left, args.interval)):
                numbers = batch.array["func"].tolist() if len(names) > 1 else [0] * len(batch)
                counts.update(map(names.__getitem__, numbers))
            if last or not signals:  # else once more: what came until then
                show(counts, args)
        print("Detaching...", flush=True)
    print(session.statistics(), file=sys.stderr)


def show(counts: Counter[str], args: argparse.Namespace) -> None:
    print("\n" + time.strftime("%H:%M:%S\n") * args.timestamp + f"{'FUNC':<36} {'COUNT':>8}")
    for name, count in reversed(counts.most_common()):
        print(f"{bp.escape(name):<36} {count:8d}", flush=True)
    counts.clear()


if __name__ == "__main__":
    bp.run_tool(main)
