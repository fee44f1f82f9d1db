"""``bpfprobe explain``: what would be done for a description, and why."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from bpfprobe.cli.plan_text import layout_text, plan_text
from bpfprobe.cli.targets import target_of
from bpfprobe.cli.trace_options import add_max_places
from bpfprobe.errors import UsageError
from bpfprobe.output import show_text

if TYPE_CHECKING:
    from bpfprobe.model.bound import BoundProbes
    from bpfprobe.pipeline import Compilation
    from bpfprobe.target import Target

HELP = "show what would be done for a description, and why; nothing is attached"
EPILOG = """\
stages:
  plan      where each probe goes, by which mechanism and why, what is kept from entry (default,
            with layout)
  layout    the bytes of each event
  resolve   every value with its type, as the program will read it
  render    the C that BCC compiles
  all       all of them

With --ftrace: the line for dynamic_events of tracefs that means the same, which may be appended
there as it is printed, and the text for the event's filter file; or why there is none.

exit status: 0, with --ftrace 1 where a description has no such line.

examples:
  bpfprobe explain 'kretprobe:do_sys_openat2 path=filename:ustring fd=$retval:s32 if fd < 0'
  bpfprobe explain --stage render 'syscall:execve argv retval'
  bpfprobe explain --ftrace 'kprobe:vfs_read count if count > 4096'
  bpfprobe explain --record here.json.gz 'kprobe:vfs_read count'     save what was looked up
  bpfprobe explain --target here.json.gz 'kprobe:vfs_read count'     ask the file, on any machine
"""
STAGES = ("plan", "layout", "resolve", "render", "all")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG
    parser.add_argument("specs", metavar="SPEC", nargs="+", help="see bpfprobe trace --help")
    parser.add_argument("--stage", choices=STAGES, help="show this stage only")
    parser.add_argument(
        "--ftrace", action="store_true", help="show ftrace's own definition of the same event"
    )
    parser.add_argument(
        "--target", metavar="FILE", help="not this machine: a recording, or a kernel's BTF"
    )
    parser.add_argument("--record", metavar="FILE", help="write what was looked up to a file")
    parser.add_argument("--transport", choices=("auto", "ring", "perf"), default="auto")
    add_max_places(parser)


def run(args: argparse.Namespace) -> int:
    """Carry out the command line."""
    if args.ftrace and args.stage:
        raise UsageError("--ftrace and --stage exclude each other", hint="ask twice")
    from bpfprobe.model.options import Options
    from bpfprobe.pipeline import describe
    from bpfprobe.probes import probe

    probes = [probe(text) for text in args.specs]
    target = target_of(args.target)
    if args.record:
        from bpfprobe.testing import record_target

        target = recording = record_target(target)
    compiled = describe(
        probes, target, Options(transport=args.transport, max_places=args.max_places)
    )
    if args.ftrace:
        parts, status = _ftrace(compiled.bound, target)
    else:
        parts, status = _stages(args, compiled), 0
    if args.record:
        recording.write(Path(args.record))
    show_text("\n\n".join(parts))
    return status


def _stages(args: argparse.Namespace, compiled: Compilation) -> list[str]:
    """What the stages that were asked for made."""
    wanted = [args.stage] if args.stage else ["plan", "layout"]
    if args.stage == "all":
        wanted = ["resolve", "plan", "layout", "render"]
    parts = []
    if "resolve" in wanted:
        from bpfprobe.cli.value_text import bound_text

        parts += [bound_text(bound) for bound in compiled.bound.probes]
    if "plan" in wanted:
        parts.append(plan_text(compiled.plan))
    if "layout" in wanted:
        parts += [layout_text(probe.layout) for probe in compiled.plan.probes]
    if "render" in wanted:
        parts.append(compiled.source.text.rstrip())
    return parts


def _ftrace(bound: BoundProbes, target: Target) -> tuple[list[str], int]:
    """Each probe in ftrace's words, and the exit status."""
    from bpfprobe.cli.ftrace_lines import ftrace_lines
    from bpfprobe.ftrace.event import ftrace_event
    from bpfprobe.model.ftrace import FtraceEvent

    answers = [ftrace_event(probe, bound.facts.arch, target) for probe in bound.probes]
    texts = [ftrace_lines(p, answer) for p, answer in zip(bound.probes, answers, strict=True)]
    return texts, 0 if all(isinstance(answer, FtraceEvent) for answer in answers) else 1
