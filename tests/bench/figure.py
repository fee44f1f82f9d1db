"""What is measured, and what it has to reach."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

KNEE = 2.0
"""A unit may cost so many times what it costs where it is cheapest, among fewer units."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A ratio of one measure between two contestants, ``base`` taken off both if there is one.

    ``goal`` is what the ratio has to stay under, or to reach where ``more`` is better; None for
    what is only told.
    """

    title: str
    measure: str
    ours: str
    theirs: str
    goal: float | None = None
    more: bool = False
    base: str = ""


@dataclass(frozen=True, slots=True)
class Curve:
    """A measure as work grows; contestants are named by the amount of work.

    Where ``each`` is true the work is divided by its amount: what counts is the cost of a unit.
    """

    title: str
    measure: str
    each: bool = True


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle of some values, and the lowest and the highest."""

    median: float
    low: float
    high: float

    @staticmethod
    def of(values: Sequence[float]) -> Spread:
        return Spread(statistics.median(values), min(values), max(values))

    def less(self, base: float) -> Spread:
        """The same with something taken off."""
        return Spread(self.median - base, self.low - base, self.high - base)


@dataclass(slots=True)
class Samples:
    """Values by contestant and measure, one a turn; a turn that gave none has None."""

    values: dict[str, dict[str, list[float | None]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, contestant: str, found: Mapping[str, float]) -> None:
        """Put down one turn."""
        rows = self.values.setdefault(contestant, {})
        turns = max((len(row) for row in rows.values()), default=0)
        for measure in {*rows, *found}:
            row = rows.setdefault(measure, [None] * turns)
            row.append(found.get(measure))

    def of(self, contestant: str, measure: str) -> list[float | None]:
        """All turns of one measure."""
        return self.values.get(contestant, {}).get(measure, [])

    def spread(self, contestant: str, measure: str) -> Spread | None:
        """Of those turns that gave a value."""
        known = [value for value in self.of(contestant, measure) if value is not None]
        return Spread.of(known) if known else None


@dataclass(frozen=True, slots=True)
class Verdict:
    """A figure as it came out; the values have the base taken off."""

    figure: Figure
    ratio: Spread | None
    ours: Spread | None
    theirs: Spread | None

    @property
    def reached(self) -> bool | None:
        """None where there is no goal, or nothing was measured."""
        if self.figure.goal is None or self.ratio is None:
            return None
        if self.figure.more:
            return self.ratio.median >= self.figure.goal
        return self.ratio.median <= self.figure.goal


def judge(figure: Figure, samples: Samples) -> Verdict:
    """The ratio of the medians, and the range of the ratios of single turns."""
    ours = samples.spread(figure.ours, figure.measure)
    theirs = samples.spread(figure.theirs, figure.measure)
    base = samples.spread(figure.base, figure.measure) if figure.base else Spread(0, 0, 0)
    if ours is None or theirs is None or base is None or theirs.median <= base.median:
        return Verdict(figure, None, ours, theirs)
    ours, theirs = ours.less(base.median), theirs.less(base.median)
    middle = ours.median / theirs.median
    mine = samples.of(figure.ours, figure.measure)
    other = samples.of(figure.theirs, figure.measure)
    nothing = samples.of(figure.base, figure.measure) if figure.base else [0.0] * len(mine)
    ratios = [
        (a - none) / (b - none)
        for a, b, none in zip(mine, other, nothing, strict=False)
        if a is not None and b is not None and none is not None and b > none
    ]
    return Verdict(
        figure, Spread(middle, min([middle, *ratios]), max([middle, *ratios])), ours, theirs
    )


@dataclass(frozen=True, slots=True)
class Shape:
    """A curve as it came out: the amounts of work, and the cost at each."""

    curve: Curve
    points: tuple[tuple[int, float], ...]

    @property
    def units(self) -> tuple[float, ...]:
        """The cost that must not grow."""
        return tuple(cost / (amount if self.curve.each else 1) for amount, cost in self.points)

    @property
    def knee(self) -> int | None:
        """The least amount of work at which a unit costs over twice what it did with less."""
        for number, unit in enumerate(self.units[1:], 1):
            if unit > KNEE * min(self.units[:number]):
                return self.points[number][0]
        return None


def draw(curve: Curve, samples: Samples) -> Shape:
    """The medians, by amount of work."""
    found = {
        int(amount): spread.median
        for amount in samples.values
        if (spread := samples.spread(amount, curve.measure)) is not None
    }
    return Shape(curve, tuple(sorted(found.items())))
