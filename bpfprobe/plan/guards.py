"""The filter as a row of guards, cheapest first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import spec_error
from bpfprobe.model.value import (
    AllOf,
    Builtin,
    BuiltinValue,
    CommText,
    Compare,
    Constant,
    GlobText,
    Load,
    MaskedText,
    Parameter,
    TextAt,
)
from bpfprobe.model.walk import walk

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bpfprobe.model.bound import Bound, BoundCapture
    from bpfprobe.model.layout import Layout
    from bpfprobe.model.options import Options
    from bpfprobe.model.span import Span
    from bpfprobe.model.value import Condition
    from bpfprobe.plan.parameters import Parameters

MAX_GLOB_BYTES = 7 * 1024
"""The verifier keeps 8192 jumps in mind; each byte that a glob may look at has one."""
_COSTS: dict[type, int] = {CommText: 1, Load: 2, TextAt: 3}
_SAME_ON_ENTRY = (Builtin.PID, Builtin.TID)


def task_guards(options: Options, parameters: Parameters) -> tuple[Condition, ...]:
    """What a session asks of who is running."""
    wanted = (
        (Builtin.PID, "==", "pid"),
        (Builtin.PID, "!=", "not_pid"),
        (Builtin.TID, "==", "tid"),
        (Builtin.UID, "==", "uid"),
    )
    return tuple(
        Compare(operator, BuiltinValue(builtin), parameters.number(number, name))
        for builtin, operator, name in wanted
        if (number := getattr(options, name)) is not None
    )


def split_filter(condition: Condition | None) -> tuple[tuple[Condition, ...], list[Condition]]:
    """The parts that are joined with ``&&``: those that look at the thread alone, then the rest.

    The first may run on entry as well: process and thread are the same there.
    """
    parts = _parts(condition)
    of_task = tuple(part for part in parts if _looks_at_thread_only(part))
    rest = sorted((part for part in parts if part not in of_task), key=cost)
    return of_task, rest


def cost(condition: Condition) -> int:
    """0 for what is in registers, 1 for the thread's name, 2 for a number in memory, 3 for text."""
    return max((_COSTS.get(type(node), 0) for node in walk(condition)), default=0)


def shared_text(bound: Bound, guards: Iterable[Condition], layout: Layout) -> BoundCapture | None:
    """A capture of text that the guards look at as well, with room for all that they need."""
    looked_at: dict[object, int] = {}
    for node in walk(tuple(guards)):
        if isinstance(node, (MaskedText, GlobText)):
            text = node.asked.text
            looked_at[text] = max(node.room, looked_at.get(text, 0))
    for capture in bound.captures:
        room = looked_at.get(capture.value)
        capacity = layout.field(capture.capture.name).capacity
        if room is not None and isinstance(capture.value, TextAt) and capacity >= room:
            return capture
    return None


def check_globs(conditions: object, span: Span) -> None:
    """Raise when the verifier would have to remember more jumps than it does."""
    looked_at = sum(node.room for node in walk(conditions) if isinstance(node, GlobText))
    if looked_at > MAX_GLOB_BYTES:
        raise spec_error(
            "TOO_MANY_OPS",
            "these globs are more than the verifier would follow through a string",
            span,
            "a glob that is plain text with one * at its end costs nothing; or look at some of "
            "it in the program",
        )


def _parts(condition: Condition | None) -> list[Condition]:
    if condition is None:
        return []
    return list(condition.conditions) if isinstance(condition, AllOf) else [condition]


def _looks_at_thread_only(condition: Condition) -> bool:
    if not isinstance(condition, Compare):
        return False
    sides = (condition.left, condition.right)
    return all(
        isinstance(side, (Constant, Parameter))
        or (isinstance(side, BuiltinValue) and side.builtin in _SAME_ON_ENTRY)
        for side in sides
    )
