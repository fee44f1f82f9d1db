"""Which of a probe's places can share a program."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.model.stack import StackValue
from bpfprobe.model.value import ByPlace
from bpfprobe.model.walk import walk

if TYPE_CHECKING:
    from bpfprobe.model.bound import Bound


def shared_programs(bound: Bound) -> tuple[int, ...]:
    """For each place the number of the first that finds all that is asked for where it does."""
    asked = (tuple(capture.value for capture in bound.captures), bound.filter)
    differing = [node for node in walk(asked) if isinstance(node, (ByPlace, StackValue))]
    first: dict[tuple[object, ...], int] = {}
    return tuple(
        first.setdefault(tuple(_at(node, place) for node in differing), place)
        for place in range(1 + len(bound.more_sites))
    )


def _at(node: ByPlace | StackValue, place: int) -> object:
    return node.values[place] if isinstance(node, ByPlace) else node.caller_at(place)
