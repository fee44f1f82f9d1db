"""What ``bpfprobe check`` found: a table with its reasons, or JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.model.noun import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bpfprobe.model.machine import MachineFacts
    from bpfprobe.model.spec import ProbeSpec
    from bpfprobe.model.verdict import Verdict
    from bpfprobe.target import Target


@dataclass(frozen=True, slots=True)
class Machine:
    """A target with the name that it has in the table."""

    name: str
    path: str | None
    facts: MachineFacts
    target: Target


def report(
    specs: Sequence[ProbeSpec],
    machines: Sequence[Machine],
    verdicts: Sequence[Sequence[Verdict]],
    *,
    verbose: bool = False,
) -> Iterator[str]:
    """The table, and below it what a person wants to know of each cell that is not ok."""
    rows = [("DESCRIPTION", *(machine.name for machine in machines))]
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
                shown.setdefault((verdict.outcome.value, *lines), []).append(machine.name)
        for (outcome, *lines), of_them in shown.items():
            yield ""
            yield f"{spec.name} on {', '.join(of_them)}: {outcome}"
            yield from (f"  {line}" for line in lines)


def _details(verdict: Verdict, *, verbose: bool) -> list[str]:
    told = [f"{each.what}: {each.how}" for each in verdict.relies] if verbose else []
    same = [line for line in told if not any(n.startswith(line) for n in verdict.notes)]
    return [*verdict.notes, *same]


def as_object(
    specs: Sequence[ProbeSpec], machines: Sequence[Machine], verdicts: Sequence[Sequence[Verdict]]
) -> dict[str, object]:
    """The same for a program."""
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
