"""Show what a process has allocated and not freed, by stack: flags of bcc's memleak 0.26.

Each call is an event. Not there: -t, mmap, what the kernel allocates; --combined-only is -o 0.
"""

import argparse
import os
import subprocess
import sys
import time

import bpfprobe as bp

SIZES = {"malloc": "$arg1", "calloc": "$arg1*$arg2", "realloc": "$arg2"}
SIZES |= {"memalign": "$arg2", "aligned_alloc": "$arg2", "posix_memalign": "$arg3"}
GIVES = {"posix_memalign": ("+0($arg1)", "(s32)$retval == 0")}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Trace outstanding memory allocations")
    add, one = parser.add_argument, parser.add_mutually_exclusive_group(required=True).add_argument
    one("-p", "--pid", type=int, help="the process")
    one("-c", "--command", help="run this, and trace it from its first call on")
    add("-a", "--show-allocs", action="store_true", help="print each allocation as well")
    add("-o", "--older", type=float, default=500, metavar="MS", help="only what is older (500)")
    add("-s", "--sample-rate", type=int, default=1, metavar="N", help="one allocation of about N")
    add("-T", "--top", type=int, default=10, help="so many stacks at most (10)")
    add("-z", "--min-size", type=int, default=0, help="only those of at least so many bytes")
    add("-Z", "--max-size", type=int, default=1 << 62, help="only those of at most so many bytes")
    add("-O", "--obj", default="c", help="the library or program that has malloc (c)")
    add("interval", type=float, nargs="?", default=5.0, help="seconds between reports (5)")
    add("count", type=int, nargs="?", default=1 << 62, help="reports, then end")
    return parser.parse_args()


def probes(args: argparse.Namespace) -> list[bp.Probe]:
    whose = f" && ppid == {os.getpid()}" if args.command else ""
    found = [bp.uprobe(args.obj, "free", pid=args.pid, old="$arg1", filter=f"$arg1 != 0{whose}")]
    for name, size in SIZES.items():
        at, wanted = GIVES.get(name, ("$retval:u64", "$retval != 0"))
        wanted += whose + f" && time % {args.sample_rate} == 0" * (name != "realloc")
        values = dict(size=size, at=at, stack="ustack", old="$arg1" if name == "realloc" else "\\0")
        found.append(bp.uretprobe(args.obj, name, pid=args.pid, filter=wanted, captures=values))
    return found


def report(live: dict[int, bp.Event], session: bp.Session, args: argparse.Namespace) -> None:
    stacks: dict[tuple[bp.Frame, ...], list[int]] = {}
    print(f"[{time.strftime('%H:%M:%S')}] Top {args.top} stacks with outstanding allocations:")
    for address, event in sorted(live.items(), key=lambda item: item[1].size):
        if time.monotonic_ns() - event.time >= args.older * 1e6:
            stacks.setdefault(session.frames(event, "stack") or (), []).append(event.size)
            if args.show_allocs:
                print(f"\taddr = {address:x} size = {event.size}")
    for stack, sizes in sorted(stacks.items(), key=lambda item: sum(item[1]))[-args.top :]:
        frames = (f"\t\t0x{frame.address:016x}\t{frame}" for frame in stack)
        print(f"\t{sum(sizes)} bytes in {len(sizes)} allocations from stack", *frames, sep="\n")


def main() -> None:
    args, outstanding = arguments(), dict[int, bp.Event]()
    session = bp.Session(*probes(args), ordered=True)
    with session, session.until_interrupted() as signals:
        pid = args.pid or subprocess.Popen(args.command.split()).pid
        print(f"Attaching to pid {pid}, Ctrl+C to quit.", flush=True)
        while args.count:
            last = bool(signals)
            for event in session.events(duration=0 if last else args.interval):
                outstanding.pop(event.old, None)
                if event.probe != "free" and args.min_size <= event.size <= args.max_size:
                    outstanding[event.at] = event
            if last or not signals:  # else once more: what came until then
                report(outstanding, session, args)
                args.count = 0 if last else args.count - 1
    print(session.statistics(), file=sys.stderr)


if __name__ == "__main__":
    bp.run_tool(main)
