"""What options of ``bpfprobe trace`` cannot be together, or cannot be at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import SessionError
from bpfprobe.model.options import MAX_ID, MAX_SECONDS, OptionError, check_seconds, check_whole

if TYPE_CHECKING:
    import argparse

_BUILD_IDS = (
    "stacks by build id are not made: a user stack has the addresses of the files that the process "
    "maps, and their own symbols"
)


_NUMBERS = {
    "max_events": ("-M (--max-events)", 1, None),
    "pid": ("-p (--pid)", 0, MAX_ID),
    "tid": ("-L (--tid)", 0, MAX_ID),
    "buffer_bytes": ("--buffer-bytes", 1, 1 << 30),
    "max_places": ("--max-places", 1, 1 << 20),
}
"""Options that are numbers: how each is typed, the least and the most."""

_ROWS = {
    "time": "-T (--time)",
    "timestamp": "--timestamp",
    "unix_timestamp": "--unix-timestamp",
    "print_cpu": "-C (--print_cpu)",
    "address": "-a (--address)",
    "msg_filter": "-f (--msg-filter)",
    "aggregate": "-A (--aggregate)",
    "headers": "-H (--headers)",
    "style": "--style",
    "json": "--json",
}
"""Options that say how rows look."""
_RUN = {
    "duration": "-d (--duration)",
    "max_events": "-M (--max-events)",
    "command": "--command",
    "verbose": "--verbose",
}
"""Options that say what a run does."""
_SHOWN_ALONE = {"format": "--format", "ebpf": "--ebpf"}
"""Options that show something in the place of a run."""
_NOT_IN = {
    "json": {
        "style": "--style",
        "headers": "-H (--headers)",
        "aggregate": "-A (--aggregate)",
        "verbose": "--verbose",
    },
    "ftrace": {
        "time": "-T (--time)",
        "timestamp": "--timestamp",
        "unix_timestamp": "--unix-timestamp",
    },
    "table": {"headers": "-H (--headers)"},
}
"""Options that a style of rows has no place for."""
_WHY_NOT_IN = {
    "json": ("--json prints nothing but an object for each event", "leave one out"),
    "ftrace": (
        "each line of ftrace has the time since boot",
        "leave it out, or leave out --style ftrace (and -H)",
    ),
    "table": ("-H is the header of ftrace; a table has its own", "leave it out, or --style ftrace"),
}


def check_options(args: argparse.Namespace) -> None:
    """Raise `SessionError` or `OptionError` for what has no meaning."""
    if not args.specs and not args.file:
        raise OptionError("what to probe is missing", hint="a SPEC, or --file FILE with some")
    if args.duration is not None:
        check_seconds("-d (--duration)", args.duration, 0, MAX_SECONDS)
    for name, (typed, least, most) in _NUMBERS.items():
        if getattr(args, name) is not None:
            check_whole(typed, getattr(args, name), least, most)
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
    if args.include_self and (args.pid is not None or args.command is not None):
        raise OptionError(
            "-S (--include-self) is for all processes, and one was asked for",
            hint="leave it out: hits of that process are kept, whichever it is",
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
    if args.buffer_pages is not None and not _is_power_of_two(args.buffer_pages):
        raise OptionError("-b (--buffer-pages) is a power of two", hint="64, 128, 256 ...")
    if args.buffer_pages is not None and args.buffer_bytes is not None:
        raise OptionError("-b and --buffer-bytes set the same size", hint="leave one out")
    _check_alone(args)
    _check_style(args)


def _check_alone(args: argparse.Namespace) -> None:
    """``--format`` and ``--ebpf`` run nothing and print no row."""
    alone = _given(_SHOWN_ALONE, args)
    if len(alone) > 1:
        raise OptionError("--format and --ebpf show different things", hint="leave one out")
    without = _given(_ROWS | _RUN, args)
    if alone and without:
        raise OptionError(
            f"{without[0]} has no meaning with {alone[0]}, which shows something and ends",
            hint="leave one out",
        )


def _check_style(args: argparse.Namespace) -> None:
    from bpfprobe.cli.trace_probes import is_ftrace

    style = "json" if args.json else "ftrace" if is_ftrace(args) else "table"
    without = _given(_NOT_IN[style], args)
    if without:
        why, hint = _WHY_NOT_IN[style]
        raise OptionError(f"{without[0]} has no place here: {why}", hint=hint)


def _given(options: dict[str, str], args: argparse.Namespace) -> list[str]:
    """Those of the options that were given, as they are typed; 0 is a value too."""
    values = {typed: getattr(args, name) for name, typed in options.items()}
    return [typed for typed, value in values.items() if value is not None and value is not False]


def _is_power_of_two(number: int) -> bool:
    return number > 0 and number & (number - 1) == 0
