"""The command line: finds the command, and turns errors into one line and a status."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from typing import TYPE_CHECKING

import bpfprobe
from bpfprobe.errors import BpfprobeError, PrivilegeError, SpecError

if TYPE_CHECKING:
    from collections.abc import Sequence

_COMMANDS = {
    "trace": "trace",
    "list": "listing",
    "explain": "explain",
    "doctor": "doctor",
    "lab": "lab",
}
EPILOG = """\
examples:
  bpfprobe trace 'kprobe:vfs_read count if count > 65536'
  bpfprobe trace 'r:opened do_sys_openat2 path=filename:ustring fd=$retval:s32'
  bpfprobe list -v 'kprobe:vfs_*'
  bpfprobe explain 'syscall:openat filename retval'
  bpfprobe doctor
  bpfprobe lab -- bpfprobe trace --duration 2 'kprobe:vfs_read count'

exit status: 0 all went well, 1 it did not, 2 the description or the command line is wrong,
77 a privilege is missing.
"""
FAILED, WRONG, NOT_ALLOWED = 1, 2, 77


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        parser = _parser(arguments)
        args = parser.parse_args(arguments)
        status: int = args.run(args)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has gone: nothing more can be said, and Python must not try at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except BpfprobeError as error:
        print(f"bpfprobe: {error}", file=sys.stderr)
        if isinstance(error, SpecError):
            return WRONG
        return NOT_ALLOWED if isinstance(error, PrivilegeError) else FAILED
    except KeyboardInterrupt:
        return 130
    return status


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """A parser in which only the command that is wanted has been filled in: the rest costs time."""
    parser = argparse.ArgumentParser(
        prog="bpfprobe",
        description="Describe a probe, get typed events.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"bpfprobe {bpfprobe.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    wanted = next((word for word in arguments if word in _COMMANDS), None)
    for name, module_name in _COMMANDS.items():
        if wanted is not None and name != wanted:
            continue
        module = importlib.import_module(f"bpfprobe.cli.{module_name}")
        command = commands.add_parser(name, help=module.HELP, description=module.HELP)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
