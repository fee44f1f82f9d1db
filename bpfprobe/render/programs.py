"""Prints the C functions of one probe."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from bpfprobe.model.plan import STACK_TEXT_BYTES, Memory
from bpfprobe.model.value import (
    Builtin,
    BuiltinValue,
    CommText,
    Duration,
    GlobText,
    Load,
    MaskedText,
    Parameter,
)
from bpfprobe.model.walk import can_fail, walk
from bpfprobe.render.ccapture import CaptureWriter, struct_lines
from bpfprobe.render.ccondition import ConditionWriter
from bpfprobe.render.cstring import StringWriter
from bpfprobe.render.cvalue import CExpression, Context, ValueWriter, register
from bpfprobe.render.memory import RELEASE, add_macro, event_tag, place_event, send_event
from bpfprobe.render.template import fill

if TYPE_CHECKING:
    from bpfprobe.model.plan import Pairing, Plan, ProbePlan
    from bpfprobe.model.span import Span
    from bpfprobe.model.value import Condition, Value
    from bpfprobe.render.origins import OriginRegister
    from bpfprobe.render.structs import StructRegister


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
        *struct_lines(probe.layout, event_tag(probe), behind="\n".join(behind)),
        f"_Static_assert(sizeof(struct {event_tag(probe)}) == {probe.scratch_bytes}, "
        f'"{event_tag(probe)} has another size");',
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
        add=add_macro(probe),
        here=_here(plan),
        parameters=_parameters(plan, (probe.task_guards, pairing.kept)),
        context=_context(probe).value,
        map=str(pairing.map_index),
        probe=str(probe.index),
        frame=_frame(plan, pairing, 0),
        kept_size=str(max(pairing.words, 1)),
        # What is not written one by one: the word of faults, or the one of a call of which nothing
        # is kept.
        cleared=" = {}" if pairing.keeps_faults or not pairing.words else "",
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
    of_task = (probe.task_guards,)
    others = (probe.guards, probe.bound.captures, probe.bound.filter)
    handed = _parameters(plan, of_task)
    body = [handed, values.take()]
    first = pairing is None and not _is_timed(probe.guards)
    time = "    u64 now = bpf_ktime_get_ns();"
    early_time = _looks_at_time(probe)
    guards, placed = _guards(probe, values, conditions, counts=not first)
    handed = "" if handed else _parameters(plan, others)  # no sooner: it takes a register
    if first:
        release = f"        {RELEASE}" if placed and probe.placed is Memory.SLOTS else ""
        body += [handed, guards, _counters(probe, release)]
    else:
        # A return forgets its entry first, whether or not its event is wanted.
        leaving = "" if pairing is None else _after_end(plan, probe, pairing)
        body += [_counters(probe, leaving), time if early_time else ""]
        body += [_paired(plan, probe, pairing) if pairing is not None else "", handed, guards]
    body.append(f"    {add_macro(probe)}(produced);")
    body += [] if placed else [place_event(probe)]
    body += [] if early_time else [time]
    body += [_head(probe, values), _captures(probe, values, conditions)]
    body.append(send_event(plan, probe))
    return fill(
        "probe.c",
        name=probe.program_at(place),
        context=_context(probe).value,
        here=_here(plan),
        body="\n".join(body),
    )


def _guards(
    probe: ProbePlan, values: ValueWriter, conditions: ConditionWriter, *, counts: bool
) -> tuple[str, bool]:
    """C that leaves unless all guards hold, and whether it finds memory for the event as well.

    ``counts`` says whether the counters are known by then.
    """
    placed = False
    conditions.strings.expect((probe.guards, probe.bound.captures))
    with values.doing(_filter_span(probe)):
        for guard in probe.guards:
            if not placed and conditions.strings.need_memory(guard, probe.shared_value):
                values.lines.append(place_event(probe, early=True, counts=counts))
                placed = True
            _share_text(probe, guard, conditions.strings)
            leaving = [RELEASE] if placed and probe.placed is Memory.SLOTS else []
            if probe.pairing is not None:
                leaving.append(f"{add_macro(probe)}(refused);")
            conditions.guard(guard, before_leaving=leaving)
    return values.take(), placed


def _share_text(probe: ProbePlan, guard: Condition, strings: StringWriter) -> None:
    """Before the first guard that looks at a text that is captured as well: read it, for both."""
    text = probe.shared_value
    looks = text is not None and any(node == text for node in walk(guard))
    if text is not None and looks and strings.in_tail(text) is None:
        strings.hold_in_tail(text, probe.layout.field(probe.shared_text).capacity)


def _counters(probe: ProbePlan, leaving: str) -> str:
    return fill("counters.c", probe=str(probe.index), leaving=leaving)


def _after_end(plan: Plan, probe: ProbePlan, pairing: Pairing) -> str:
    return fill(
        "after_end.c",
        map=str(pairing.map_index),
        frame=_frame(plan, pairing, plan.arch.return_sp_bytes),
        probe=str(probe.index),
        add=add_macro(probe),
    )


def _looks_at_time(probe: ProbePlan) -> bool:
    """Whether the time is needed before it is known that there is an event."""
    keeps_time = probe.pairing is not None and probe.pairing.keeps_time
    return keeps_time or _is_timed(probe.guards)


def _is_timed(conditions: object) -> bool:
    return any(
        isinstance(node, Duration)
        or (isinstance(node, BuiltinValue) and node.builtin is Builtin.TIME)
        for node in walk(conditions)
    )


def _head(probe: ProbePlan, values: ValueWriter) -> str:
    """C that fills what every event begins with."""
    values.line("event->time = now;")  # first, as every call would need it put aside
    cpu = values.value(BuiltinValue(Builtin.CPU)).text
    values.line(f"((word *)event)[0] = {cpu} << 16 | {probe.index};")
    values.line(f"((word *)event)[1] = {values.thread};")
    for number in range(1, len(probe.layout.mark_offsets)):
        values.line(f"event->marks{number} = 0;")  # the first are in the first word
    return values.take()


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
        thread=plan.thread,
    )
    strings = StringWriter(
        values,
        stack_bytes=STACK_TEXT_BYTES,
        scratch="event->text",
        scratch_bytes=probe.filter_text_bytes,
    )
    return values, ConditionWriter(values, strings)


def _captures(probe: ProbePlan, values: ValueWriter, conditions: ConditionWriter) -> str:
    if probe.layout.is_variable:
        values.line("u64 used = 0;")
    captured = [bound.value for bound in probe.bound.captures]
    asked = Counter(node for node in walk(tuple(captured)) if isinstance(node, BuiltinValue))
    for builtin in (node for node, times in asked.items() if times > 1):
        values.value(builtin)  # once for all, also for those in blocks of their own
    writer = CaptureWriter(values, conditions, probe.layout, captured)
    own = loads(tuple(bound.value for bound in probe.bound.captures)) > MANY_LOADS
    if probe.bound.spec.comm:
        writer.capture(probe.layout.field_of_hit("comm"), CommText())
    # What the filter has read to the head of the tail comes first.
    in_order = sorted(probe.bound.captures, key=lambda one: one.capture.name != probe.shared_text)
    for read in probe.ranges:
        first = next(one for one in probe.bound.captures if one.capture.name == read.names[0])
        with values.doing(first.capture.span), values.scope(own=own):
            writer.read_range(read)
    together = {name for read in probe.ranges for name in read.names}
    for bound in in_order:
        if bound.capture.name in together:
            continue
        field = probe.layout.field(bound.capture.name)
        with values.doing(bound.capture.span), values.scope(own=own):
            writer.capture(field, bound.value)
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
        add=add_macro(probe),
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


def _here(plan: Plan) -> str:
    return "" if plan.namespace is None else f"    u64 {plan.thread} = thread_in_namespace();"


def _context(probe: ProbePlan) -> Context:
    return Context.RECORD if probe.is_tracepoint else Context.REGISTERS
