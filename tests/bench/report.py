"""What came out: tables of ratios and curves, as text, Markdown or JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tests.bench.figure import Samples, Shape, Verdict, draw, judge

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.bench.workload import Workload

RATIO_HEAD = ("figure", "against", "ratio", "spread", "goal", "", "bpfprobe", "the other")
CURVE_HEAD = ("work", "cost of", "at each amount", "knee")


@dataclass(frozen=True, slots=True)
class Report:
    """The samples of each workload that was run."""

    machine: Mapping[str, str]
    runs: int
    measured: Sequence[tuple[Workload, Samples]]

    @property
    def verdicts(self) -> list[tuple[Workload, Verdict]]:
        """Every figure."""
        return [(w, judge(figure, s)) for w, s in self.measured for figure in w.figures]

    @property
    def shapes(self) -> list[tuple[Workload, Shape]]:
        """Every curve."""
        return [(w, draw(curve, s)) for w, s in self.measured for curve in w.curves]

    def notes(self) -> list[str]:
        """What is to be known besides: who did not take part, and what fell short."""
        found = [note for _, samples in self.measured for note in samples.notes]
        for workload, verdict in self.verdicts:
            name = f"{workload.name}: {verdict.figure.title} against {verdict.figure.theirs}"
            if verdict.ratio is None:
                found.append(f"{name}: not measured")
            elif verdict.reached is False:
                found.append(
                    f"{name}: fell short, {number(verdict.ratio.median)} where "
                    f"{goal(verdict)} was the goal"
                )
        for workload, shape in self.shapes:
            if not shape.points:
                found.append(f"{workload.name}: {shape.curve.title}: not measured")
            elif shape.knee is not None:
                found.append(f"{workload.name}: {shape.curve.title}: a knee at {shape.knee}")
        return found

    def ratio_rows(self) -> list[tuple[str, ...]]:
        """A line a figure."""
        return [_ratio_row(workload, verdict) for workload, verdict in self.verdicts]

    def curve_rows(self) -> list[tuple[str, ...]]:
        """A line a curve."""
        return [_curve_row(workload, shape) for workload, shape in self.shapes if shape.points]

    def as_json(self) -> dict[str, Any]:
        """All of it, with every sample."""
        return {
            "machine": dict(self.machine),
            "runs": self.runs,
            "figures": [
                {
                    "workload": workload.name,
                    **asdict(verdict.figure),
                    "unit": workload.units[verdict.figure.measure],
                    "ratio": verdict.ratio and asdict(verdict.ratio),
                    "reached": verdict.reached,
                }
                for workload, verdict in self.verdicts
            ],
            "curves": [
                {"workload": w.name, **asdict(s.curve), "points": s.points, "knee": s.knee}
                for w, s in self.shapes
            ],
            "samples": {w.name: samples.values for w, samples in self.measured},
            "left_out": [note for _, samples in self.measured for note in samples.notes],
            "notes": self.notes(),
        }


def _ratio_row(workload: Workload, verdict: Verdict) -> tuple[str, ...]:
    figure, ratio = verdict.figure, verdict.ratio
    unit = workload.units[figure.measure]
    outcome = {True: "reached", False: "SHORT", None: ""}[verdict.reached]
    spread = f"{number(ratio.low)}..{number(ratio.high)}" if ratio else "-"
    return (
        figure.title,
        figure.theirs,
        number(ratio.median) if ratio else "-",
        spread,
        goal(verdict),
        outcome,
        f"{number(verdict.ours.median)} {unit}".strip() if verdict.ours else "-",
        f"{number(verdict.theirs.median)} {unit}".strip() if verdict.theirs else "-",
    )


def _curve_row(workload: Workload, shape: Shape) -> tuple[str, ...]:
    unit = workload.units[shape.curve.measure]
    points = zip(shape.points, shape.units, strict=True)
    costs = ", ".join(f"{amount}: {number(cost)}" for (amount, _), cost in points)
    knee = "none" if shape.knee is None else f"at {shape.knee}"
    return (workload.title, shape.curve.title, f"{costs} {unit}", knee)


def goal(verdict: Verdict) -> str:
    """What was to be reached."""
    if verdict.figure.goal is None:
        return ""
    return f"{'>=' if verdict.figure.more else '<='} {verdict.figure.goal:g}"


def number(value: float) -> str:
    """Three digits, or all of those before the point."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}"


def plain_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns under their heads."""
    widths = [max(len(row[n]) for row in [head, *rows]) for n in range(len(head))]
    lines = [head, *rows]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The same for a README."""
    return [f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows]]
