"""A plan and a layout in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.cli.value_text import condition_text, value_text
from bpfprobe.deliver.escape import escape
from bpfprobe.model.layout import FieldKind
from bpfprobe.model.printable import lines_text
from bpfprobe.model.site import count_places

if TYPE_CHECKING:
    from bpfprobe.model.layout import Layout
    from bpfprobe.model.plan import Choice, Plan, ProbePlan


def plan_text(plan: Plan) -> str:
    """Each probe's place and choices, then what they share."""
    parts = [_probe_text(probe) for probe in plan.probes]
    size = f"{plan.buffer_bytes >> 10} KiB" + ("" if plan.uses_ring else " a CPU")
    shared = [f"for {plan.facts.release} on {plan.facts.arch}"]
    shared += _choice_lines("buffer", plan.transport)
    shared += [
        f"  {'size':<10} {size}; the reader is woken at {plan.wake_bytes >> 10} KiB, "
        f"or looks after {plan.latency_s:g} s",
    ]
    for number, definition in enumerate(plan.maps):
        kind = definition.kind.name.lower()
        entry = f"{definition.max_entries} x {definition.key_size}+{definition.value_size} bytes"
        if definition.key_size == 0:
            entry = f"{definition.max_entries} bytes"
        shared.append(f"  {f'map {number}':<10} {definition.name} ({kind}, {entry})")
    return "\n\n".join([*parts, lines_text(shared)])


def _probe_text(probe: ProbePlan) -> str:
    lines = [f"{probe.bound.spec.name}: {escape(str(probe.bound.spec.point))}"]
    lines.append(f"  {'site':<10} {escape(str(probe.site))}")
    if probe.more_sites:
        programs = len(set(probe.shared_programs))
        more = count_places(probe.more_sites)
        lines[-1] += f" and {more} more places, {programs} programs in all"
    lines += [f"  {'note':<10} {escape(note)}" for note in probe.bound.notes]
    lines += _choice_lines("mechanism", probe.mechanism)
    if probe.pairing is not None:
        lines.append(f"  {'entry':<10} {escape(str(probe.pairing.site))}: {probe.pairing.because}")
        kept = [value_text(value) for value in probe.pairing.kept]
        kept += ["the time"] if probe.pairing.keeps_time else []
        lines.append(f"  {'kept':<10} {', '.join(kept) or 'nothing'}")
    for guard in (*probe.task_guards, *probe.guards):
        lines.append(f"  {'keeps if':<10} {condition_text(guard)}")
    lines += _choice_lines("event", probe.memory)
    return lines_text(lines)


def _choice_lines(what: str, choice: Choice) -> list[str]:
    lines = [f"  {what:<10} {choice.name}: {choice.because}"]
    lines += [f"  {'not':<10} {reason}" for reason in choice.turned_down]
    if choice.obstacle:
        lines.append(f"  {'but':<10} {choice.obstacle}")
        if choice.way_out:
            lines.append(f"  {'instead':<10} {choice.way_out}")
    return lines


def layout_text(layout: Layout) -> str:
    """The bytes of an event, a line a field."""
    lines = [f"{layout.name}: {layout.head_size} bytes"]
    if layout.is_variable:
        lines[0] += f", and up to {layout.tail_size} more for what differs in length"
    lines.append("  OFFSET  SIZE  FIELD")
    placed = [f for f in layout.fields if f.kind is not FieldKind.CONSTANT]
    for field in sorted(placed, key=lambda f: f.offset):
        kind = field.kind.value
        if field.kind is FieldKind.INTEGER:
            kind = f"{'s' if field.signed else 'u'}{field.size * 8}"
        if field.kind is FieldKind.FLOAT:
            kind = f"f{field.size * 8}"
        if field.in_tail:
            kind += f", at most {field.capacity} bytes"
        if field.kind is FieldKind.ARRAY:
            kind += f" of {field.count}"
        lines.append(f"  {field.offset:6}  {field.size:4}  {field.name} ({kind})")
    return lines_text(lines)
