"""``bpfprobe doctor``: what this machine allows, and the way out where it does not."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from bpfprobe.deliver.escape import escape
from bpfprobe.errors import UsageError
from bpfprobe.output import show, show_json

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from bpfprobe.target.checks import Examination

HELP = "say what this machine allows, and what to do where it does not"
EPILOG = """\
Each line says ok, no, or ? (cannot be told), what was looked at, and what to do about it. Nothing
is loaded, attached or changed.

With --stale: events in kprobe_events and uprobe_events (named *_bcc_PID) that bcc tools left when
they were killed. bpfprobe leaves none. --clean removes them one by one, and touches no others.

exit status: 0 when probes (kprobes, or at least uprobes) can be compiled and attached here, else 1;
with --stale 0 when no stale event is left, else 1.

examples:
  bpfprobe doctor
  sudo bpfprobe doctor
  bpfprobe doctor --json
  sudo bpfprobe doctor --stale
  sudo bpfprobe doctor --stale --clean
"""

_WORDS = {True: "ok", False: "no", None: "?"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    import argparse

    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument(
        "--stale", action="store_true", help="show events in tracefs that dead tracers left"
    )
    parser.add_argument("--clean", action="store_true", help="with --stale: remove them")


def run(args: argparse.Namespace) -> int:
    """Carry out the command line, and return the exit status."""
    if args.clean and not args.stale:
        raise UsageError("--clean removes what --stale finds", hint="give --stale with it")
    if args.stale:
        return _stale(args)
    from bpfprobe.target.checks import examine

    examination = examine()
    if args.json:
        show_json(dataclasses.asdict(examination))
    else:
        for line in report(examination):
            show(escape(line))
    return 0 if examination.works else 1


def _stale(args: argparse.Namespace) -> int:
    from bpfprobe.cli.stale import doctor_stale
    from bpfprobe.target.event_files import EventFiles
    from bpfprobe.target.processes import Processes

    return doctor_stale(EventFiles(), Processes(), clean=args.clean, as_json=args.json)


def report(examination: Examination) -> Iterator[str]:
    """The lines that a person reads."""
    yield f"Linux {examination.release}, {examination.arch}"
    width = max((len(check.name) for check in examination.checks), default=0)
    for check in examination.checks:
        yield f"{_WORDS[check.present]:3} {check.name:{width}}  {check.evidence}"
        if check.way_out:
            yield f"{'':{width + 4}}  -> {check.way_out}"
    yield examination.verdict
