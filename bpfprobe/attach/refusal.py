"""What the kernel refused, traced back to the part of the description that asked for it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from bpfprobe.errors import AttachError, VerifierError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfprobe.model.object import Bytecode, CSource
    from bpfprobe.model.plan import Plan


@contextmanager
def tracing_refusals(bytecode: Bytecode, source: CSource) -> Iterator[None]:
    """Give a `VerifierError` its place: the instruction's line of C, and that line's origin.

    The work that every event takes has no such place, nor has what inlined functions do.
    """
    try:
        yield
    except VerifierError as error:
        number = error.instruction
        if number is not None and number < len(bytecode.lines):
            error.span = source.origin(bytecode.lines[number])
        raise


@contextmanager
def tracing_places(plan: Plan) -> Iterator[None]:
    """Give an `AttachError` its place: where the description says what the probe is of."""
    try:
        yield
    except AttachError as error:
        for probe in plan.probes:
            sites = [probe.site, *probe.bound.more_sites]
            sites += [probe.pairing.site] if probe.pairing is not None else []
            if error.span is None and error.site in map(str, sites):
                error.span = probe.bound.spec.point_span
        raise
