"""Several definitions of one event: another place for it, or a mistake.

The rules are those of kernel/trace/trace_probe.c (trace_probe_compare_arg_type() and what calls
it): a definition with the group and the name of an earlier one adds a place to the event if it is
of the same kind and its values have the same names and types; the same place and values twice are a
mistake. Kprobes, uprobes, fprobes and eprobes do not share an event, and an eprobe has one place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import Diagnostic, SpecError
from bpfprobe.model.expression import Text, Variable
from bpfprobe.model.noun import replace
from bpfprobe.model.spec import KernelPoint, TracepointPoint, UserPoint
from bpfprobe.parse.dialect import Dialect, dialect_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bpfprobe.model.spec import Capture, Point, ProbeSpec


def check_appended(specs: Iterable[ProbeSpec]) -> None:
    """Raise `SpecError` with every definition that does not fit an earlier one of its name.

    Only definitions of the kernel's own forms that name their event are looked at: without a name
    each probe has events of its own.
    """
    events: dict[tuple[str, str], list[ProbeSpec]] = {}
    wrong: list[Diagnostic] = []
    for spec in specs:
        system = _system(spec.point)
        if not system or dialect_of(spec.source.text) is not Dialect.KERNEL:
            continue
        if ":" not in _head(spec):
            continue
        earlier = events.setdefault((spec.group or system, spec.name), [])
        complaint = _complaint(spec, system, earlier)
        if complaint is None:
            earlier.append(spec)
        else:
            wrong.append(complaint)
    if wrong:
        raise SpecError(wrong)


def _system(point: Point) -> str:
    """Return the group of an event that names none; empty for what the kernel does not define."""
    match point:
        case KernelPoint(is_fprobe=True):
            return "fprobes"
        case KernelPoint():
            return "kprobes"
        case UserPoint():
            return "uprobes"
        case TracepointPoint(is_eprobe=True):
            return "eprobes"
    return ""


def _head(spec: ProbeSpec) -> str:
    return spec.source.text.split(maxsplit=1)[0]


def _complaint(spec: ProbeSpec, system: str, earlier: list[ProbeSpec]) -> Diagnostic | None:
    if not earlier:
        return None
    first, point = earlier[0], spec.point
    at_start = spec.source.span(0, len(_head(spec)))
    if system != _system(first.point) or not isinstance(point, (KernelPoint, UserPoint)):
        return Diagnostic(
            "EVENT_EXIST",
            f"{spec.name} is an event already, at a place of {_system(first.point)}",
            at_start,
            "give one of them another name",
        )
    assert isinstance(first.point, (KernelPoint, UserPoint))
    if point.returns != first.point.returns:
        return Diagnostic(
            "DIFF_PROBE_TYPE",
            f"{spec.name} is an event on {'entry' if point.returns else 'return'} already",
            at_start,
            "give one of them another name",
        )
    for number, capture in enumerate(spec.captures):
        if number >= len(first.captures) or _shape(capture) != _shape(first.captures[number]):
            return Diagnostic(
                "DIFF_ARG_TYPE",
                f"{spec.name} has other values already",
                capture.span,
                "its places must have values of the same names and types; or give it another name",
            )
    if len(spec.captures) < len(first.captures):
        end = spec.source.span(len(spec.source.text), len(spec.source.text))
        message = f"{spec.name} has {len(first.captures)} values already"
        return Diagnostic("DIFF_ARG_TYPE", message, end, "the same at each place")
    if any(_same(spec, other) for other in earlier):
        message = f"{spec.name} is there already, with this place and these values"
        return Diagnostic("SAME_PROBE", message, at_start, "leave one of them out")
    return None


def _shape(capture: Capture) -> tuple[str, str, int]:
    kind, value = capture.type, capture.value
    if kind is not None:
        return capture.name, kind.base, kind.count
    is_comm = isinstance(value, Variable) and value.name in ("comm", "COMM")
    return capture.name, "string" if is_comm or isinstance(value, Text) else "", 0


def _same(one: ProbeSpec, other: ProbeSpec) -> bool:
    values = [[capture.span.text for capture in spec.captures] for spec in (one, other)]
    return _place(one.point) == _place(other.point) and values[0] == values[1]


def _place(point: Point) -> Point:
    """Return where it is, whatever the number of calls at a time."""
    return replace(point, maxactive=0) if isinstance(point, KernelPoint) else point
