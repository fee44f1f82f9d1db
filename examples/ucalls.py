"""Summarize calls in a CPython with USDT markers, as bcc's ucalls 0.26 without -S."""

import argparse
import sys
from collections import defaultdict
from pathlib import Path

import bpfprobe as bp


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Summarize calls of functions in CPython")
    add = parser.add_argument
    add("-l", "--language", choices=["python"], default="python", help="its language")
    add("-T", "--top", type=int, metavar="N", help="the N most frequent (-L: slowest) only")
    add("-L", "--latency", action="store_true", help="time from call to return")
    add("-v", "--verbose", action="store_true", help="print the program for the kernel first")
    add("-m", "--milliseconds", action="store_true", help="times in ms (default: microseconds)")
    add("pid", type=int, help="the process")
    add("interval", type=float, nargs="?", default=float("inf"), help="print every so many seconds")
    return parser.parse_args()


class Calls:
    """Calls of each function, and the time in those that have returned."""

    def __init__(self, latency: bool) -> None:
        self.latency = latency
        self.totals: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        self.under_way: dict[int, list[tuple[str, int]]] = defaultdict(list)

    def count(self, event: bp.Event) -> None:
        name, calls = f"{event.file}.{event.function}", self.under_way[event.tid]
        if not self.latency:
            self.totals[name][0] += 1
        elif event.probe == "function__entry":
            calls.append((name, event.time))
        elif began := next((call for call in reversed(calls) if call[0] == name), None):
            del calls[calls.index(began) :]  # of those above it the return was not seen
            self.totals[name][0] += 1
            self.totals[name][1] += event.time - began[1]

    def show(self, args: argparse.Namespace) -> None:
        unit, ns = ("ms", 1e6) if args.milliseconds else ("us", 1e3)
        print(f"\n{'METHOD':<50} {'# CALLS':>8}" + f" TIME ({unit})" * args.latency)
        rows = sorted(self.totals.items(), key=lambda item: item[1][args.latency])
        for name, (calls, total_ns) in rows[-(args.top or 0) :]:
            total = f" {total_ns / ns:6.2f}" * args.latency
            print(f"{bp.escape(name):<50} {calls:8d}{total}", flush=True)
        self.totals.clear()


def main() -> None:
    args = arguments()
    program = str(Path(f"/proc/{args.pid}/exe").resolve())
    taken = {"file": "$arg1:string", "function": "$arg2:string"}
    # CPython 3.11 tells of calls only while it tells of lines as well.
    probes = [bp.usdt(program, "python:line", pid=args.pid, filter="$arg3 < 0")]
    markers = ["function__entry"] + ["function__return"] * args.latency
    probes += [bp.usdt(program, name, pid=args.pid, captures=taken) for name in markers]
    session, calls = bp.Session(*probes, ordered=True), Calls(args.latency)
    if args.verbose:
        print(session.c_source())
    with session, session.until_interrupted() as signals:
        whose = f"process {args.pid} (language: python)"
        print(f"Tracing calls in {whose}... Ctrl-C to quit.", flush=True)
        last = False
        while not last:
            last = bool(signals)
            for event in session.events(duration=0 if last else args.interval):
                calls.count(event)
            if last or not signals:  # else once more: what came until then
                calls.show(args)
    print(session.statistics(), file=sys.stderr)


if __name__ == "__main__":
    bp.run_tool(main)
