"""The filter as a row of guards, cheapest first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.model.value import (
    AllOf,
    Builtin,
    BuiltinValue,
    CommText,
    Compare,
    Constant,
    Load,
    TextAt,
)
from bpfprobe.model.walk import walk

if TYPE_CHECKING:
    from bpfprobe.model.options import Options
    from bpfprobe.model.value import Condition

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
