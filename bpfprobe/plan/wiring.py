"""Plan -> wiring: what of a plan is still needed once its programs are compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.model.object import ProbeWiring, Wiring

if TYPE_CHECKING:
    from bpfprobe.model.plan import Plan, ProbePlan


def wire(plan: Plan) -> Wiring:
    """Where the programs of a plan go, and what they send."""
    return Wiring(
        maps=plan.maps,
        probes=tuple(_wire_probe(probe) for probe in plan.probes),
        uses_ring=plan.uses_ring,
        buffer_bytes=plan.buffer_bytes,
        wake_bytes=plan.wake_bytes,
        page_size=plan.facts.page_size,
        parameter_map=plan.parameter_map,
        option_offsets=plan.parameters.option_offsets,
    )


def _wire_probe(probe: ProbePlan) -> ProbeWiring:
    more = [(probe.program_at(place), site) for place, site in enumerate(probe.more_sites, start=1)]
    pairing = probe.pairing
    if pairing is None:
        return ProbeWiring(probe.layout, probe.site, probe.program, more=tuple(more))
    more += [(probe.entry_program, site) for site in pairing.more_sites]
    return ProbeWiring(
        layout=probe.layout,
        site=probe.site,
        program=probe.program,
        entry_site=pairing.site,
        entry_program=probe.entry_program,
        inflight_map=pairing.map_index,
        more=tuple(more),
    )
