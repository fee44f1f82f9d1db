"""``bpfprobe check``: whether descriptions hold on many kernels, without being there."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from bpfprobe.cli.check_report import Machine, as_object, report
from bpfprobe.cli.targets import target_of
from bpfprobe.deliver.escape import escape
from bpfprobe.errors import SpecError, TargetError, UsageError
from bpfprobe.model.verdict import Outcome
from bpfprobe.output import show, show_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bpfprobe.model.spec import ProbeSpec
    from bpfprobe.model.verdict import Reliance, Verdict
    from bpfprobe.target import Target

HELP = "check descriptions against many kernels, and print a table"
EPILOG = """\
A FILE has one description per line; # begins a comment. A TARGET is what --record of this command,
or of explain, wrote on a machine, or a kernel's BTF: /sys/kernel/btf/vmlinux, or a vmlinux. BTF has
functions and types, but no tracepoints and no programs. Without --target it is this machine.

ok        it holds
differs   it holds, but what it counts on is elsewhere or of another type than on the first kernel
          where it holds: a probe made for that one must not be taken to this one
fails     it does not hold, with the code and the reason below

exit status: 0 when all holds, differences or not; 1 when something fails; 2 when a description
cannot be parsed.

examples:
  bpfprobe check probes.txt
  bpfprobe check --record 6.1.json.gz probes.txt
  bpfprobe check probes.txt --target 5.10.json.gz 6.1.json.gz vmlinux-6.12
  bpfprobe check 'kprobe:vfs_read pos=file->f_pos' --target btf/* --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG
    parser.add_argument(
        "specs", metavar="FILE|SPEC", nargs="+", help="a file of descriptions, or one of them"
    )
    parser.add_argument(
        "--target", metavar="TARGET", nargs="+", action="extend", help="kernels, each in a file"
    )
    parser.add_argument("--record", metavar="OUT", help="write what was looked up to a file")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="show also what descriptions count on"
    )


def run(args: argparse.Namespace) -> int:
    """Carry out the command line."""
    from bpfprobe.cli.given_specs import given_specs

    specs = given_specs(args.specs)
    paths: list[str | None] = list(args.target or [None])
    if args.record and len(paths) != 1:
        raise UsageError("--record takes one machine", hint="give one --target, or none for this")
    targets = [target_of(path) for path in paths]
    if args.record:
        from bpfprobe.testing import record_target

        recording = record_target(targets[0])
        targets = [recording]
    machines = _machines(paths, targets)
    verdicts = [_verdicts(spec, machines) for spec in specs]
    if args.record:
        recording.write(Path(args.record))
    if args.json:
        show_json(as_object(specs, machines, verdicts))
    else:
        for line in report(specs, machines, verdicts, verbose=args.verbose):
            show(escape(line))
    return 1 if any(v.outcome is Outcome.FAILS for row in verdicts for v in row) else 0


def _machines(paths: Sequence[str | None], targets: Sequence[Target]) -> list[Machine]:
    """The targets with names: the release, or the file where two have the same."""
    facts = [target.facts() for target in targets]
    releases = [each.release for each in facts]
    names = [
        each.release if releases.count(each.release) == 1 or path is None else path
        for path, each in zip(paths, facts, strict=True)
    ]
    return [Machine(*each) for each in zip(names, paths, facts, targets, strict=True)]


def _verdicts(spec: ProbeSpec, machines: Sequence[Machine]) -> list[Verdict]:
    from bpfprobe.check.compare import compare, failure
    from bpfprobe.check.reliances import reliances
    from bpfprobe.pipeline import describe

    verdicts: list[Verdict] = []
    reference: tuple[str, tuple[Reliance, ...]] | None = None
    for machine in machines:
        try:
            (bound,) = describe([spec], machine.target).bound.probes
        except (SpecError, TargetError) as error:
            verdicts.append(failure(error))
            continue
        relies = reliances(bound, machine.target)
        reference = reference or (machine.name, relies)
        verdicts.append(compare(relies, reference[1], reference[0]))
    return verdicts
