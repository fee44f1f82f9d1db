"""The stages in their order. Nothing else calls resolve, plan or render.

::

    text, Python calls ─parse→ spec ─resolve→ bound ─plan→ plan ─render→ C      pure
    ───────────────────────────────────────────────────────────────────── the waterline
    C ─compile→ bytecode ─load→ maps and programs ─attach→ links ─read→ records ─deliver→ events
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.model.noun import dataclass, replace
from bpfprobe.model.options import Options
from bpfprobe.model.spec import ProbeSpec
from bpfprobe.parse.appending import check_appended
from bpfprobe.plan.plan import plan
from bpfprobe.plan.wiring import wire
from bpfprobe.probes import check_probe
from bpfprobe.render.render import render
from bpfprobe.resolve.resolve import resolve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bpfprobe.model.bound import BoundProbes
    from bpfprobe.model.object import CSource, Wiring
    from bpfprobe.model.plan import Plan
    from bpfprobe.probes import Probe
    from bpfprobe.target import Target


@dataclass(frozen=True, slots=True)
class Compilation:
    """What each stage above the waterline made of the probes."""

    specs: tuple[ProbeSpec, ...]
    bound: BoundProbes
    plan: Plan
    source: CSource
    wiring: Wiring


def describe(
    probes: Sequence[Probe | ProbeSpec], target: Target, options: Options | None = None
) -> Compilation:
    """Everything above the waterline: needs no root, no compiler, and the target may be a file.

    Raises `SpecError`, `TargetError`.
    """
    specs = tuple(spec_of(probe) for probe in probes)
    check_appended(specs)
    options = options or Options()
    bound = resolve(specs, target, options.max_places)
    chosen = plan(bound, options)
    return Compilation(specs, bound, chosen, render(chosen), wire(chosen))


def describe_elsewhere(
    made: Compilation, index: int, spec: ProbeSpec, target: Target, options: Options
) -> Compilation:
    """The same probes, but the one of that number as ``spec`` is on another target.

    Nothing is asked for the others. Raises as `describe`.
    """
    specs, bound = list(made.specs), list(made.bound.probes)
    specs[index] = spec
    (bound[index],) = resolve((spec,), target, options.max_places).probes
    probes = replace(made.bound, probes=tuple(bound))
    chosen = plan(probes, options)
    return Compilation(tuple(specs), probes, chosen, render(chosen), wire(chosen))


def spec_of(probe: Probe | ProbeSpec) -> ProbeSpec:
    """What a probe asks for; one that has been parsed already is that itself."""
    if isinstance(probe, ProbeSpec):
        return probe
    check_probe(probe)
    return probe.spec
