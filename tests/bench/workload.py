"""A workload: who takes part, and what is made of what they measure."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.bench.figure import Curve, Figure, Samples

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.bench.setting import Setting

    Turn = Callable[[], Mapping[str, float]]
    Contestants = Callable[[Setting, ExitStack], Mapping[str, Turn]]


class Unmeasurable(Exception):
    """A contestant cannot take part here; says why."""


@dataclass(frozen=True, slots=True)
class Workload:
    """``units`` names each measure with its unit; ``once`` is for what is the same every time,
    ``kprobes`` for what needs a kernel with kprobes: a guest's where this one has none.

    ``contestants`` gives by name a function that measures once; what it puts on the stack is closed
    when the workload is over.
    """

    name: str
    title: str
    units: Mapping[str, str]
    contestants: Contestants
    figures: tuple[Figure, ...] = ()
    curves: tuple[Curve, ...] = ()
    once: bool = False
    kprobes: bool = False


def measure(workload: Workload, setting: Setting, progress: Callable[[str], object]) -> Samples:
    """All contestants in turns, so that whatever else the machine does meets all of them.

    The first turn does not count: after it all find their files in memory. Who cannot take part is
    noted and left out from then on.
    """
    samples = Samples()
    warm = 0 if workload.once else 1
    with ExitStack() as stack:
        taking_part = dict(workload.contestants(setting, stack))
        for turn in range(warm + (1 if workload.once else setting.runs)):
            for name, run in list(taking_part.items()):
                progress(f"{workload.name}: {name}, turn {turn + 1 - warm} of {setting.runs}")
                try:
                    found = run()
                except Unmeasurable as error:
                    samples.notes.append(f"{workload.name}: {name} is not measured: {error}")
                    del taking_part[name]
                else:
                    if turn >= warm:
                        samples.add(name, found)
    return samples
