"""Choices of a plan that are known not to work on its machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import AttachError

if TYPE_CHECKING:
    from bpfprobe.model.plan import Plan


def refuse_obstacles(plan: Plan) -> None:
    """Raise for a choice that is known not to work on this machine, before anything is compiled."""
    for probe in plan.probes:
        if probe.mechanism.obstacle:
            raise AttachError(
                f"{probe.site}: {probe.mechanism.obstacle}",
                site=str(probe.site),
                hint=probe.mechanism.way_out or None,
                code=f"NO_{probe.mechanism.name.partition('.')[0].upper()}S",
            )
    if plan.transport.obstacle:
        raise AttachError(
            plan.transport.obstacle,
            site="the buffer",
            hint=plan.transport.way_out or None,
            code="NO_RING_BUFFER",
        )
