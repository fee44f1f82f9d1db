"""Show latency of getaddrinfo, gethostbyname and gethostbyname2: as bcc's gethostlatency 0.26."""

from __future__ import annotations

import argparse
import sys

import bpfprobe as bp

FUNCTIONS = ("getaddrinfo", "gethostbyname", "gethostbyname2")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Show latency of getaddrinfo, gethostbyname and gethostbyname2 calls"
    )
    parser.add_argument("-p", "--pid", type=int, help="this process only")
    parser.add_argument("--ebpf", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def row(event: bp.Event, clock: bp.WallClock) -> str:
    host = "(fault)" if event.host is None else bp.escape(event.host)
    cut = "..." * ("host" in event.truncated)
    when, comm = f"{clock.at(event.time):%H:%M:%S}", bp.escape(event.comm)
    return f"{when:<9} {event.pid:<7d} {comm:<16} {event.took / 1e6:10.2f} {host}{cut}"


def main() -> None:
    args = arguments()
    values = {"host": "$arg1:string", "took": "duration"}
    calls = [bp.uretprobe("c", name, pid=args.pid, captures=values) for name in FUNCTIONS]
    session = bp.Session(*calls)
    if args.ebpf:
        print(session.c_source())
        return
    clock = bp.WallClock.now()
    with session, session.until_interrupted():
        print(f"{'TIME':<9} {'PID':<7} {'COMM':<16} {'LATms':>10} HOST", flush=True)
        session.on_idle(sys.stdout.flush)
        for event in session:
            print(row(event, clock))
    if not session.statistics().complete:
        print(f"gethostlatency: {session.statistics()}", file=sys.stderr)


if __name__ == "__main__":
    bp.run_tool(main)
