"""What options of ``bpfprobe trace`` cannot be together, or cannot be at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import SessionError
from bpfprobe.model.options import OptionError

if TYPE_CHECKING:
    import argparse

_BUILD_IDS = (
    "stacks by build id are not made: a user stack has the addresses of the files that the process "
    "maps, and their own symbols"
)


def check_options(args: argparse.Namespace) -> None:
    """Raise `SessionError` or `OptionError` for what has no meaning."""
    if not args.specs and not args.file:
        raise OptionError("what to probe is missing", hint="a SPEC, or --file FILE with some")
    if args.command is not None and args.pid is not None:
        raise SessionError(
            "--command and --pid exclude each other", hint="--command traces what it starts"
        )
    if args.follow and args.command is not None:
        raise SessionError(
            "--follow and --command exclude each other",
            hint="without -p a SPEC of a program sees every process that runs it; --follow adds "
            "files that come later",
        )
    if args.sym_file_list is not None:
        raise OptionError(
            f"-s (--sym_file_list) is not there: {_BUILD_IDS}",
            hint="leave it out; with a SPEC of ours or the kernel's -s is the kernel's stack",
        )
    if args.unix_timestamp and not args.timestamp:
        raise OptionError(
            "-u (--unix-timestamp) wants -t (--timestamp)",
            hint="-t -u; with a SPEC of trace(8)'s a user is --uid USER",
        )
    if args.timestamp and args.time:
        raise OptionError("one column of time is enough: -t or -T", hint="leave one out")
    if args.aggregate and args.max_events is None:
        raise OptionError(
            "-A (--aggregate) wants -M (--max-events)", hint="-A -M 1000 counts 1000 rows"
        )
    if args.aggregate and args.json:
        raise OptionError("-A (--aggregate) counts rows, and --json has none", hint="choose one")
    if args.buffer_pages is not None and not _is_power_of_two(args.buffer_pages):
        raise OptionError("-b (--buffer-pages) is a power of two", hint="64, 128, 256 ...")
    if args.buffer_pages is not None and args.buffer_bytes is not None:
        raise OptionError("-b and --buffer-bytes set the same size", hint="leave one out")


def _is_power_of_two(number: int) -> bool:
    return number > 0 and number & (number - 1) == 0
