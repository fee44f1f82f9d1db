"""The filter as a row of guards, cheapest first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import spec_error
from bpfprobe.model.glob import distinct_sets, is_prefix_glob, parse_glob
from bpfprobe.model.value import (
    AllOf,
    Builtin,
    BuiltinValue,
    CommText,
    Compare,
    Constant,
    Load,
    TextAt,
    TextMatches,
)
from bpfprobe.model.walk import walk

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bpfprobe.model.options import Options
    from bpfprobe.model.span import Span
    from bpfprobe.model.value import Condition

MAX_GLOBS = 7
"""The verifier keeps 8192 jumps in mind; each of the 1024 bytes that a glob looks at has one."""
MAX_GLOB_STEPS = 300
"""Instructions for a byte, all globs together; the verifier walks them for each of 1024."""
_COSTS: dict[type, int] = {CommText: 1, Load: 2, TextAt: 3}
_SAME_ON_ENTRY = (Builtin.PID, Builtin.TID)


def task_guards(options: Options) -> tuple[Condition, ...]:
    """What a session asks of who is running."""
    wanted = (
        (Builtin.PID, "==", options.pid),
        (Builtin.PID, "!=", options.not_pid),
        (Builtin.TID, "==", options.tid),
        (Builtin.UID, "==", options.uid),
    )
    return tuple(
        Compare(operator, BuiltinValue(builtin), Constant(number))
        for builtin, operator, number in wanted
        if number is not None
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


def check_globs(guards: Iterable[Condition], span: Span) -> None:
    """Raise when the verifier would have to walk further than it does (a million instructions)."""
    globs = [
        node
        for node in walk(tuple(guards))
        if isinstance(node, TextMatches)
        and isinstance(node.text, TextAt)
        and not is_prefix_glob(node.pattern)
    ]
    sets = [distinct_sets(parse_glob(node.pattern)) for node in globs]
    steps = sum(12 + sum(4 + 6 * len(token.ranges) for token, _ in found) for found in sets)
    if len(globs) > MAX_GLOBS or steps > MAX_GLOB_STEPS:
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
        isinstance(side, Constant)
        or (isinstance(side, BuiltinValue) and side.builtin in _SAME_ON_ENTRY)
        for side in sides
    )
