"""Print entered commands of all bash shells: flags and columns of bcc's bashreadline 0.26."""

from __future__ import annotations

import argparse
import sys

import bpfprobe as bp


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Print entered bash commands from all shells")
    parser.add_argument("-s", "--shared", nargs="?", const="readline", metavar="LIBRARY",
        help="where bash uses a libreadline.so: that file, or as the loader finds it")  # fmt: skip
    parser.add_argument("--ebpf", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def row(event: bp.Event, clock: bp.WallClock) -> str:
    text = "(fault)" if event.command is None else bp.escape(event.command)
    cut = "..." * ("command" in event.truncated)
    return f"{clock.at(event.time):%H:%M:%S}  {event.pid:<7d} {text}{cut}"


def main() -> None:
    args = arguments()
    # At the end of a file readline() gives no line; a library is used by other programs too.
    wanted = '$retval != 0 && comm == "bash"' if args.shared else "$retval != 0"
    entered = bp.uretprobe(
        args.shared or "bash", "readline", command="$retval:string", filter=wanted
    )
    session = bp.Session(entered)
    if args.ebpf:
        print(session.c_source())
        return
    clock = bp.WallClock.now()
    with session, session.until_interrupted():
        print(f"{'TIME':<9} {'PID':<7} COMMAND", flush=True)
        session.on_idle(sys.stdout.flush)
        for event in session:
            print(row(event, clock))
    if not session.statistics().complete:
        print(f"bashreadline: {session.statistics()}", file=sys.stderr)


if __name__ == "__main__":
    bp.run_tool(main)
