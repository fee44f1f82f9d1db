"""Several definitions of one event: another place for it, or a mistake.

The rules are those of kernel/trace/trace_probe.c (trace_probe_compare_arg_type() and what calls
it): a definition with the group and the name of an earlier one adds a place to the event if it is
of the same kind and its values have the same names and types; the same place and values twice are a
mistake.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import Diagnostic, SpecError
from bpfprobe.model.spec import KernelPoint, UserPoint

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bpfprobe.model.spec import Capture, ProbeSpec


def check_appended(specs: Iterable[ProbeSpec]) -> None:
    """Raise `SpecError` with every definition that does not fit an earlier one of its name.

    Only definitions of the kernel's own forms make events there, so no other is looked at.
    """
    events: dict[tuple[str, str, str], list[ProbeSpec]] = {}
    wrong: list[Diagnostic] = []
    for spec in specs:
        point = spec.point
        if not isinstance(point, (KernelPoint, UserPoint)):
            continue
        if not spec.source.text.lstrip().startswith(("p", "r", "f")) or ":" not in _head(spec):
            continue
        key = (type(point).__name__, spec.group, spec.name)
        earlier = events.setdefault(key, [])
        complaint = _complaint(spec, earlier)
        if complaint is None:
            earlier.append(spec)
        else:
            wrong.append(complaint)
    if wrong:
        raise SpecError(wrong)


def _head(spec: ProbeSpec) -> str:
    return spec.source.text.split(maxsplit=1)[0]


def _complaint(spec: ProbeSpec, earlier: list[ProbeSpec]) -> Diagnostic | None:
    if not earlier:
        return None
    first, point = earlier[0], spec.point
    at_start = spec.source.span(0, len(_head(spec)))
    assert isinstance(point, (KernelPoint, UserPoint))
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
    kind = capture.type
    return capture.name, kind.base if kind else "", kind.count if kind else 0


def _same(one: ProbeSpec, other: ProbeSpec) -> bool:
    values = [[capture.span.text for capture in spec.captures] for spec in (one, other)]
    return one.point == other.point and values[0] == values[1]
