"""The command line: finds the command, and turns errors into one line and a status."""

from __future__ import annotations

import argparse
import importlib
import sys
from typing import TYPE_CHECKING, NoReturn

import bpfprobe
from bpfprobe.cli.parser import Parser
from bpfprobe.tool import INTERRUPTED, run_tool

if TYPE_CHECKING:
    from collections.abc import Sequence

_COMMANDS = {
    "trace": "trace",
    "list": "listing",
    "explain": "explain",
    "check": "check",
    "build": "build",
    "cache": "cache",
    "doctor": "doctor",
    "lab": "lab",
}
EPILOG = """\
examples:
  bpfprobe trace 'kprobe:vfs_read count if count > 65536'
  bpfprobe trace 'r:opened do_sys_openat2 path=filename:ustring fd=$retval:s32'
  bpfprobe list -v 'kprobe:vfs_*'
  bpfprobe explain 'syscall:openat filename retval'
  bpfprobe check probes.txt --target 5.10.json.gz 6.1.json.gz
  bpfprobe doctor
  bpfprobe lab -- bpfprobe trace --duration 2 'kprobe:vfs_read count'

exit status: 0 all went well, 1 it did not, 2 the description or the command line is wrong,
77 a privilege is missing.
"""


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run a command line and exit with its status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    run_tool(lambda: _run(arguments), "bpfprobe", interrupted=INTERRUPTED)


def _run(arguments: Sequence[str]) -> int:
    args = _parser(arguments).parse_args(_rewritten(arguments))
    status: int = args.run(args)
    return status


def _rewritten(arguments: Sequence[str]) -> list[str]:
    """The words as the command's parser wants them, for a command whose letters vary."""
    words = list(arguments)
    at = next((n for n, word in enumerate(words) if word in _COMMANDS), len(words))
    if at < len(words):
        module = importlib.import_module(f"bpfprobe.cli.{_COMMANDS[words[at]]}")
        if hasattr(module, "rewritten"):
            return [*words[: at + 1], *module.rewritten(words[at + 1 :])]
    return words


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """A parser in which only the command that is wanted has been filled in: the rest costs time."""
    parser = Parser(
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
    main()
