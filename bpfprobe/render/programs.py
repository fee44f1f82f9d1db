"""Prints the C functions of one probe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.model.layout import MARKS_PER_WORD
from bpfprobe.model.plan import SCRATCH_SLOTS, STACK_TEXT_BYTES, Memory
from bpfprobe.model.value import CommText, GlobText, Load, MaskedText, Parameter
from bpfprobe.model.walk import can_fail, walk
from bpfprobe.render.ccapture import CaptureWriter, struct_lines
from bpfprobe.render.ccondition import ConditionWriter
from bpfprobe.render.cstring import StringWriter
from bpfprobe.render.cvalue import CExpression, Context, ValueWriter, register
from bpfprobe.render.template import fill

if TYPE_CHECKING:
    from bpfprobe.model.plan import Pairing, Plan, ProbePlan
    from bpfprobe.model.span import Span
    from bpfprobe.model.value import Value
    from bpfprobe.render.origins import OriginRegister
    from bpfprobe.render.structs import StructRegister


_RELEASE = "__sync_fetch_and_add(&event->busy, -1);"
MANY_LOADS = 12
"""With more, each value has a block of its own: 512 bytes of stack hold all that is alive."""


def loads(values: object) -> int:
    """How many numbers are read from memory to get at these."""
    return sum(isinstance(node, Load) for node in walk(values))


def event_struct(probe: ProbePlan) -> list[str]:
    """The record of a probe, with what its scratch memory holds behind it."""
    behind = []
    slack = probe.layout.slack_size
    if slack:
        behind.append(f"    u8 slack[{slack}];")
    odd = -(probe.layout.tail_size + slack) % 8
    if odd:
        behind.append(f"    u8 end[{odd}];")
    if probe.filter_text_bytes:
        behind.append(f"    u64 text[{probe.filter_text_bytes // 8}];")
    if probe.placed is Memory.SLOTS:
        behind.append("    volatile u32 busy;\n    u32 idle;")
    return [
        *struct_lines(probe.layout, _struct(probe), behind="\n".join(behind)),
        f"_Static_assert(sizeof(struct {_struct(probe)}) == {probe.scratch_bytes}, "
        f'"{_struct(probe)} has another size");',
    ]


def entry_function(
    plan: Plan, probe: ProbePlan, structs: StructRegister, origins: OriginRegister
) -> str:
    """The program on entry of a return probe."""
    pairing = probe.pairing
    assert pairing is not None
    values, conditions = _writers(plan, probe, structs, origins, None)
    for guard in probe.task_guards:
        conditions.guard(guard)
    guards = values.take()
    own = loads(pairing.kept) > MANY_LOADS
    for slot, value in enumerate(pairing.kept):
        with values.doing(_asks_for(probe, value)), values.scope(own=own):
            seen = values.value(value)
            values.line(f"kept[{slot}] = {seen.text};")
            if seen.fault:
                values.line(f"kept[{pairing.words - 1}] |= (u64)!!({seen.fault}) << {slot};")
    if pairing.keeps_time:
        values.line(f"kept[{len(pairing.kept)}] = bpf_ktime_get_ns();")
    return fill(
        "entry.c",
        name=probe.entry_program,
        parameters=_parameters(plan, (probe.task_guards, pairing.kept)),
        context=_context(probe).value,
        map=str(pairing.map_index),
        probe=str(probe.index),
        frame=_frame(plan, pairing, 0),
        kept_size=str(max(pairing.words, 1)),
        task_guards=guards,
        keep=values.take(),
    )


def probe_function(
    plan: Plan, probe: ProbePlan, structs: StructRegister, origins: OriginRegister, place: int
) -> str:
    """The program that sends the event, for one of the places of the probe."""
    pairing = probe.pairing
    values, conditions = _writers(plan, probe, structs, origins, pairing, place)
    for guard in probe.task_guards:
        conditions.guard(guard)
    task_guards = values.take()
    paired = _paired(plan, probe, pairing) if pairing is not None else ""
    early = probe.filter_text_bytes > 0
    guards = _place(plan, probe) + "\n" if early else ""
    release = early and probe.placed is Memory.SLOTS
    with values.doing(_filter_span(probe)):
        for guard in probe.guards:
            conditions.guard(guard, before_leaving=_RELEASE if release else "")
    guards += values.take()
    return fill(
        "probe.c",
        name=probe.program_at(place),
        parameters=_parameters(
            plan, (probe.task_guards, probe.guards, probe.bound.captures, probe.bound.filter)
        ),
        context=_context(probe).value,
        probe=str(probe.index),
        task_guards=task_guards,
        paired=paired,
        guards=guards,
        place="" if early else _place(plan, probe),
        captures=_captures(probe, values, conditions),
        marks="\n".join(
            f"    event->marks{n} = marks{n};" for n in range(len(probe.layout.mark_offsets))
        ),
        send=_send(plan, probe),
    )


def _writers(
    plan: Plan,
    probe: ProbePlan,
    structs: StructRegister,
    origins: OriginRegister,
    pairing: Pairing | None,
    place: int = 0,
) -> tuple[ValueWriter, ConditionWriter]:
    kept: dict[Value, CExpression] = {}
    kept_time = ""
    if pairing is not None:
        kept = {value: _kept(value, slot) for slot, value in enumerate(pairing.kept)}
        kept_time = "began" if pairing.keeps_time else ""
    values = ValueWriter(
        plan.arch,
        structs,
        _context(probe),
        kept=kept,
        kept_time=kept_time,
        origins=origins,
        place=place,
    )
    strings = StringWriter(
        values,
        stack_bytes=STACK_TEXT_BYTES,
        scratch="event->text",
        scratch_bytes=probe.filter_text_bytes,
    )
    return values, ConditionWriter(values, strings)


def _captures(probe: ProbePlan, values: ValueWriter, conditions: ConditionWriter) -> str:
    for word in range(len(probe.layout.mark_offsets)):
        values.line(f"u32 marks{word} = 0;")
    if probe.layout.is_variable:
        values.line("u64 used = 0;")
    writer = CaptureWriter(values, conditions, probe.layout)
    own = loads(tuple(bound.value for bound in probe.bound.captures)) > MANY_LOADS
    if probe.bound.spec.comm:
        writer.capture(probe.layout.field("comm"), CommText())
    for bound in probe.bound.captures:
        field = probe.layout.field(bound.capture.name)
        with values.doing(bound.capture.span), values.scope(own=own):
            writer.capture(field, bound.value)
            if own and field.mark >= 0:
                # Else the compiler holds each fault on the stack until it joins all of them.
                values.line(f'asm volatile("" : "+r"(marks{field.mark // MARKS_PER_WORD}));')
    return values.take()


def _filter_span(probe: ProbePlan) -> Span | None:
    condition = probe.bound.spec.filter
    return condition.span if condition is not None else None


def _asks_for(probe: ProbePlan, kept: Value) -> Span | None:
    """The part of the description for whose sake a value is kept from entry."""
    for bound in probe.bound.captures:
        if any(node == kept for node in walk(bound.value)):
            return bound.capture.span
    return _filter_span(probe)


def _kept(value: Value, slot: int) -> CExpression:
    return CExpression(f"kept{slot}", f"(kept_faults >> {slot} & 1)" if can_fail(value) else "")


def _paired(plan: Plan, probe: ProbePlan, pairing: Pairing) -> str:
    copies = [f"    u64 kept{slot} = kept[{slot}];" for slot in range(len(pairing.kept))]
    if pairing.keeps_time:
        copies.append(f"    u64 began = kept[{len(pairing.kept)}];")
    if pairing.keeps_faults:
        copies.append(f"    u64 kept_faults = kept[{pairing.words - 1}];")
    return fill(
        "paired.c",
        map=str(pairing.map_index),
        frame=_frame(plan, pairing, plan.arch.return_sp_bytes),
        copy="\n".join(copies),
    )


def _frame(plan: Plan, pairing: Pairing, lower_by: int) -> str:
    if not pairing.by_frame:
        return "0"
    minus = f" - {lower_by}" if lower_by else ""
    return f"{register(plan.arch.stack_pointer)}{minus}"


def _parameters(plan: Plan, conditions: object) -> str:
    """C that finds what the program is handed, where it looks at any of it."""
    used = (Parameter, MaskedText, GlobText)
    if not any(isinstance(node, used) for node in walk(conditions)):
        return ""
    bank = plan.parameters.bank_bytes
    choose = f"    parameters += *(volatile u64 *)parameters & {bank};" if bank else ""
    return fill("parameters.c", map=str(plan.parameter_map), choose=choose)


def _context(probe: ProbePlan) -> Context:
    return Context.RECORD if probe.is_tracepoint else Context.REGISTERS


def _struct(probe: ProbePlan) -> str:
    return f"event{probe.index}"


def _place(plan: Plan, probe: ProbePlan) -> str:
    """C that finds memory for the event."""
    struct = f"struct {_struct(probe)}"
    if probe.placed is Memory.STACK:
        return f"    {struct} on_stack = {{}};\n    {struct} *event = &on_stack;"
    if probe.placed is Memory.SLOTS:
        return fill(
            "slots.c",
            struct=struct,
            map=str(probe.scratch_map),
            slots=str(SCRATCH_SLOTS),
            # A hit without room before the filter has been looked at counts as an event.
            count="        counters->produced++;" if probe.filter_text_bytes else "",
        )
    if probe.placed is Memory.SCRATCH:
        return fill("scratch.c", struct=struct, map=str(probe.scratch_map))
    return fill("reserve.c", struct=struct)


def _send(plan: Plan, probe: ProbePlan) -> str:
    """C that hands the event over, and counts it as lost where that fails."""
    if probe.placed is Memory.RING:
        return "    bpf_ringbuf_submit(event, wake());"
    size = f"{probe.layout.head_size}"
    if probe.layout.is_variable:
        size += " + used"
    if plan.uses_ring:
        call = f"bpf_ringbuf_output(EVENTS, event, {size}, wake())"
    else:
        call = f"bpf_perf_event_output(ctx, EVENTS, BPF_F_CURRENT_CPU, event, {size})"
    lines = [f"    if ({call}) {{", "        counters->lost++;", "    }"]
    if probe.placed is Memory.SLOTS:
        lines.append(f"    {_RELEASE}")
    return "\n".join(lines)
