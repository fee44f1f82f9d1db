"""The stage itself: a whole translation unit, in the order in which C wants it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.model.object import COUNTERS, CSource, ProgramDef, ProgramKind
from bpfprobe.render.origins import OriginRegister
from bpfprobe.render.programs import entry_function, event_struct, probe_function
from bpfprobe.render.structs import StructRegister
from bpfprobe.render.template import fill

if TYPE_CHECKING:
    from bpfprobe.model.plan import Plan, ProbePlan


def render(plan: Plan) -> CSource:
    """The C for all probes of a plan."""
    structs, origins = StructRegister(), OriginRegister()
    programs: list[ProgramDef] = []
    functions: list[str] = []
    events: list[str] = []
    for probe in plan.probes:
        kind = _kind(probe)
        events += [f"/* probe {probe.index} */", *event_struct(probe), ""]
        if probe.pairing is not None:
            functions.append(entry_function(plan, probe, structs, origins))
            programs.append(ProgramDef(probe.entry_program, kind, probe.attach_type))
        for place in sorted(set(probe.shared_programs)):
            functions.append(probe_function(plan, probe, structs, origins, place))
            programs.append(ProgramDef(probe.program_at(place), kind, probe.attach_type))
    shared = fill(
        "shared.c",
        counters="\n".join(f"    u64 {name};" for name in COUNTERS),
        parameters=str(plan.parameter_map),
        keys=str(plan.parameters.keys_offset),
        wake=fill("wake.c", map=str(plan.parameter_map)) if plan.uses_ring else "",
        namespace=_namespace(plan),
    )
    text = "\n".join([shared, *structs.declarations(), *events, *functions])
    header = fill("kconfig.h", registers=fill(plan.arch.header))
    clean, places = origins.settle(tidy(text))
    return CSource(clean, header, tuple(programs), plan.maps, places)


def _namespace(plan: Plan) -> str:
    """C that asks for the thread's numbers in another namespace than the initial one."""
    if plan.namespace is None:
        return ""
    device, inode = (str(slot.offset // 8) for slot in plan.namespace)
    return fill("namespace.c", map=str(plan.parameter_map), device=device, inode=inode)


def _kind(probe: ProbePlan) -> ProgramKind:
    return ProgramKind.TRACEPOINT if probe.is_tracepoint else ProgramKind.KPROBE


def tidy(text: str) -> str:
    """The text with no more than one empty line in a row, and none where a hole was empty."""
    lines: list[str] = []
    for line in (line.rstrip() for line in text.split("\n")):
        inside = bool(lines) and lines[-1].startswith("    ")
        if line or (lines and lines[-1] and not inside):
            lines.append(line)
    return "\n".join(lines).rstrip() + "\n"
