"""``bpfprobe check``: whether descriptions hold on many kernels, without being there."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bpfprobe.cli.targets import target_of
from bpfprobe.deliver.escape import escape
from bpfprobe.errors import SpecError, TargetError, UsageError
from bpfprobe.model.verdict import Outcome, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bpfprobe.errors import Diagnostic
    from bpfprobe.model.machine import MachineFacts
    from bpfprobe.model.spec import ProbeSpec
    from bpfprobe.model.verdict import Reliance
    from bpfprobe.target import Target

HELP = "type descriptions against many kernels, and print a table"
EPILOG = """\
A FILE has a description a line; # begins a comment. A TARGET is what --record of this command, or
of explain, wrote on a machine, or a kernel's BTF: /sys/kernel/btf/vmlinux, or a vmlinux. BTF has
functions and types, but no tracepoints and no programs. Without --target it is this machine.

ok        it holds
differs   it holds, but what it counts on is elsewhere or of another type than on the first kernel
          where it holds: a probe made for that one must not be taken to this one
fails     it does not hold, with the code and the reason below

exit status: 0 when all holds, differences or not; 1 when something fails; 2 when a description is
none at all.

examples:
  bpfprobe check probes.txt
  bpfprobe check --record 6.1.json.gz probes.txt
  bpfprobe check probes.txt --target 5.10.json.gz 6.1.json.gz vmlinux-6.12
  bpfprobe check 'kprobe:vfs_read pos=file->f_pos' --target btf/* --json
"""
_MOST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Machine:
    """A target with the name that it has in the table."""

    name: str
    path: str | None
    facts: MachineFacts
    target: Target


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
    specs = list(_specs(args.specs))
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
        print(json.dumps(_as_object(specs, machines, verdicts), indent=2))
    else:
        for line in report(specs, [m.name for m in machines], verdicts, verbose=args.verbose):
            print(escape(line))
    return 1 if any(v.outcome is Outcome.FAILS for row in verdicts for v in row) else 0


def report(
    specs: Sequence[ProbeSpec],
    machines: Sequence[str],
    verdicts: Sequence[Sequence[Verdict]],
    *,
    verbose: bool = False,
) -> Iterator[str]:
    """The table, and below it what a person wants to know of each cell that is not ok."""
    rows = [("DESCRIPTION", *machines)]
    rows += [
        (spec.name, *(f"{v.outcome.value} {v.code}".strip() for v in of_spec))
        for spec, of_spec in zip(specs, verdicts, strict=True)
    ]
    widths = [max(len(row[n]) for row in rows) for n in range(len(machines) + 1)]
    for row in rows:
        yield "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
    for spec, of_spec in zip(specs, verdicts, strict=True):
        shown: dict[tuple[str, ...], list[str]] = {}
        for machine, verdict in zip(machines, of_spec, strict=True):
            lines = _details(verdict, verbose=verbose)
            if lines:
                shown.setdefault((verdict.outcome.value, *lines), []).append(machine)
        for (outcome, *lines), of_them in shown.items():
            yield ""
            yield f"{spec.name} on {', '.join(of_them)}: {outcome}"
            yield from (f"  {line}" for line in lines)


def _details(verdict: Verdict, *, verbose: bool) -> list[str]:
    told = [f"{each.what}: {each.how}" for each in verdict.relies] if verbose else []
    same = [line for line in told if not any(n.startswith(line) for n in verdict.notes)]
    return [*verdict.notes, *same]


def _specs(words: Sequence[str]) -> Iterator[ProbeSpec]:
    """Every description. Raises `SpecError` with all that are none, and `TargetError` for files."""
    from bpfprobe.model.span import SourceText
    from bpfprobe.parse.any_dialect import parse_description
    from bpfprobe.parse.definition_lines import definition_lines

    sources: list[SourceText] = []
    for word in words:
        text = _text_of(word)
        sources += [SourceText(word)] if text is None else definition_lines(text, word)
    if not sources:
        raise UsageError(f"{', '.join(words)}: no description there", hint="one stands on a line")
    specs: list[ProbeSpec] = []
    wrong: list[Diagnostic] = []
    for source in sources:
        try:
            specs.append(parse_description(source))
        except SpecError as error:
            wrong += error.diagnostics
    if wrong:
        raise SpecError(wrong)
    yield from specs


def _text_of(word: str) -> str | None:
    """What is in the file of that name; None for a description."""
    path = Path(word)
    try:
        if not path.exists():
            if "/" in word and ":" not in word and not any(map(str.isspace, word)):
                raise TargetError(f"there is no file {word}", code="NO_FILE")
            return None
        if not path.is_file():
            raise TargetError(f"{word} is not a regular file", code="NOT_REGULAR")
        with path.open(encoding="utf-8") as file:
            text = file.read(_MOST_BYTES + 1)
    except UnicodeDecodeError as error:
        raise TargetError(f"{word} is not text", code="BAD_FILE") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in what cannot be a path
        if isinstance(error, OSError) and path.is_file():
            raise TargetError(f"{word} cannot be read: {error}", code="NO_ACCESS") from error
        return None
    if len(text) > _MOST_BYTES:
        raise TargetError(f"{word} has more than {_MOST_BYTES} characters", code="BAD_FILE")
    return text


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


def _as_object(
    specs: Sequence[ProbeSpec], machines: Sequence[Machine], verdicts: Sequence[Sequence[Verdict]]
) -> dict[str, object]:
    return {
        "targets": [
            {"name": m.name, "file": m.path, "release": m.facts.release, "arch": m.facts.arch}
            for m in machines
        ],
        "descriptions": [
            {
                "name": spec.name,
                "source": spec.source.label,
                "text": spec.source.text,
                "verdicts": [
                    {
                        "target": machine.name,
                        "outcome": verdict.outcome.value,
                        "code": verdict.code or None,
                        "notes": list(verdict.notes),
                        "relies_on": {each.what: each.how for each in verdict.relies},
                    }
                    for machine, verdict in zip(machines, row, strict=True)
                ],
            }
            for spec, row in zip(specs, verdicts, strict=True)
        ],
    }
