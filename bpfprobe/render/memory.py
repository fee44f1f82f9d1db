"""Prints how a program gets memory for its event, and how it hands the event over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.model.plan import SCRATCH_SLOTS, Memory
from bpfprobe.render.template import fill

if TYPE_CHECKING:
    from bpfprobe.model.plan import Plan, ProbePlan

RELEASE = "__sync_fetch_and_add(&event->busy, -1);"
"""C that gives back a slot."""


def event_tag(probe: ProbePlan) -> str:
    """The tag of the struct of a probe's event."""
    return f"event{probe.index}"


def add_macro(probe: ProbePlan) -> str:
    """The macro of shared.c by which the programs of a probe count."""
    return "COUNT_AS_ONE" if probe.can_be_preempted else "COUNT"


def place_event(probe: ProbePlan, *, early: bool = False, counts: bool = True) -> str:
    """C that finds memory for the event.

    ``early`` says that the filter comes later: a hit without room then counts as an event.
    ``counts`` says whether the counters are known.
    """
    struct = f"struct {event_tag(probe)}"
    if probe.placed is Memory.STACK:
        return f"    {struct} on_stack = {{}};\n    {struct} *event = &on_stack;"
    if probe.placed is Memory.SLOTS:
        return fill(
            "slots.c",
            struct=struct,
            map=str(probe.scratch_map),
            slots=str(SCRATCH_SLOTS),
            no_room=_no_room(probe, early=early, counts=counts),
        )
    if probe.placed is Memory.SCRATCH:
        return fill("scratch.c", struct=struct, map=str(probe.scratch_map))
    return fill("reserve.c", struct=struct, add=add_macro(probe))


def _no_room(probe: ProbePlan, *, early: bool, counts: bool) -> str:
    add = add_macro(probe)
    lines = [f"{add}(produced);", f"{add}(lost);"] if early else [f"{add}(lost);"]
    if not counts:
        find = f"struct counters *counters = counters_of({probe.index});"
        lines = [find, "if (counters) {", *(f"    {line}" for line in lines), "}"]
    return "\n".join(f"        {line}" for line in lines)


def send_event(plan: Plan, probe: ProbePlan) -> str:
    """C that hands the event over, and counts it as lost where that fails."""
    size = f"{probe.layout.head_size}"
    if probe.placed is Memory.RING:
        return f"    bpf_ringbuf_submit(event, wake(counters, {size}));"
    if probe.layout.is_variable:
        size += " + used"
    if plan.uses_ring:
        call = f"bpf_ringbuf_output(EVENTS, event, {size}, wake(counters, {size}))"
    else:
        call = f"bpf_perf_event_output(ctx, EVENTS, BPF_F_CURRENT_CPU, event, {size})"
    lines = ["    opaque(used);"] if probe.layout.is_variable else []
    lines += [f"    if ({call}) {{", f"        {add_macro(probe)}(lost);", "    }"]
    if probe.placed is Memory.SLOTS:
        lines.append(f"    {RELEASE}")
    return "\n".join(lines)
