"""Probes -> an object in a file of its own, for this kernel or another."""

from __future__ import annotations

import time
from itertools import product
from typing import TYPE_CHECKING, Any

import bpfprobe
from bpfprobe.check.boot import refuse_addresses
from bpfprobe.model.noun import replace
from bpfprobe.model.object_file import ObjectFile, Variant
from bpfprobe.objects import dependencies, source_digest
from bpfprobe.pipeline import describe
from bpfprobe.plan.obstacles import refuse_obstacles
from bpfprobe.starting import compiled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bpfprobe.engine import Engine
    from bpfprobe.model.options import Options
    from bpfprobe.probes import Probe
    from bpfprobe.target import Target

_WHICH_PROCESS: tuple[dict[str, Any], ...] = ({}, {"pid": 1}, {"not_pid": 1})
_SHAPES: tuple[dict[str, Any], ...] = tuple(
    {**process, **thread, **user}
    for process, thread, user in product(_WHICH_PROCESS, ({}, {"tid": 1}), ({}, {"uid": 1}))
)
"""Options that make a program look at something, in every combination: each is other code."""


def build_object(
    probes: Sequence[Probe], target: Target, engine: Engine, options: Options
) -> ObjectFile:
    """Compile probes for the machine of a target, with every set of filters that a session has.

    Of ``options`` those that make a buffer are taken. Raises `SpecError`, `TargetError`,
    `OptionError`, `CompileError`, `MissingLibraryError`, and `AttachError` for what can be known
    not to work there.
    """
    variants: dict[str, Variant] = {}
    for shape in _SHAPES:
        made = describe(probes, target, replace(options, **shape))
        refuse_obstacles(made.plan)
        for bound in made.bound.probes:
            refuse_addresses(bound)
        source = source_digest(made.source)
        if source not in variants:
            variants[source] = Variant(source, compiled(made.source, engine))
    return ObjectFile(
        version=bpfprobe.__version__,
        release=made.plan.facts.release,
        made_s=int(time.time()),
        descriptions=tuple(replace(probe.description, pid=None) for probe in probes),
        transport=options.transport,
        buffer_bytes=options.buffer_bytes,
        inflight=options.inflight,
        depends=tuple(dependencies(made, target).items()),
        variants=tuple(variants.values()),
    )
