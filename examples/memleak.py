"""Show what a process has allocated and not freed, by stack: some flags of bcc's memleak 0.26.

Seen are malloc, calloc, realloc, the aligned ones and free, an event each; mmap and the kernel not.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict

import bpfprobe as bp

SIZES = {"malloc": "$arg1", "calloc": "$arg1*$arg2", "realloc": "$arg2"}
SIZES |= {"memalign": "$arg2", "aligned_alloc": "$arg2", "posix_memalign": "$arg3"}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Trace outstanding memory allocations")
    add = parser.add_argument
    add("-p", "--pid", type=int, required=True, help="the process")
    add("-a", "--show-allocs", action="store_true", help="print each allocation as well")
    add("-o", "--older", type=float, default=500, metavar="MS", help="only what is older (500)")
    add("-T", "--top", type=int, default=10, help="so many stacks at most (10)")
    add("-z", "--min-size", type=int, default=0, help="only those of at least so many bytes")
    add("interval", type=float, nargs="?", default=5.0, help="seconds between reports (5)")
    add("count", type=int, nargs="?", default=1 << 62, help="reports, then end")
    return parser.parse_args()


def probes(args: argparse.Namespace) -> list[bp.Probe]:
    found = [bp.uprobe("c", "free", pid=args.pid, old="$arg1", filter="$arg1 != 0")]
    for name, size in SIZES.items():
        address, wanted = ("$retval:u64", "$retval != 0")
        if name == "posix_memalign":
            address, wanted = "+0($arg1)", "(s32)$retval == 0"
        values = {"size": size, "address": address, "stack": "ustack"}
        values["old"] = "$arg1" if name == "realloc" else "\\0"
        found.append(bp.uretprobe("c", name, pid=args.pid, filter=wanted, captures=values))
    return found


def report(live: dict[int, bp.Event], session: bp.Session, args: argparse.Namespace) -> None:
    stacks: dict[tuple[bp.Frame, ...], list[int]] = defaultdict(list)
    print(f"[{time.strftime('%H:%M:%S')}] Top {args.top} stacks with outstanding allocations:")
    for address, event in sorted(live.items(), key=lambda item: item[1].size):
        if time.monotonic_ns() - event.time >= args.older * 1e6:
            stacks[session.frames(event, "stack") or ()].append(event.size)
            if args.show_allocs:
                print(f"\taddr = {address:x} size = {event.size}")
    for stack, sizes in sorted(stacks.items(), key=lambda item: sum(item[1]))[-args.top :]:
        print(f"\t{sum(sizes)} bytes in {len(sizes)} allocations from stack", flush=True)
        for frame in stack:
            print(f"\t\t0x{frame.address:016x}\t{frame}", flush=True)


def main() -> None:
    args, outstanding = arguments(), dict[int, bp.Event]()
    session = bp.Session(*probes(args), ordered=True)
    with session, session.until_interrupted() as signals:
        print(f"Attaching to pid {args.pid}, Ctrl+C to quit.", flush=True)
        while args.count:
            last = bool(signals)
            for event in session.events(duration=0 if last else args.interval):
                outstanding.pop(event.old, None)
                if event.probe != "free" and event.size >= args.min_size:
                    outstanding[event.address] = event
            if last or not signals:  # else once more: what came until then
                report(outstanding, session, args)
                args.count = 0 if last else args.count - 1
    print(session.statistics(), file=sys.stderr)


if __name__ == "__main__":
    bp.run_tool(main)
