"""Captures -> ranges: which members of a struct are read at once."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from bpfprobe.model.plan import RangeRead
from bpfprobe.model.value import Load, Space
from bpfprobe.model.walk import walk

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bpfprobe.model.bound import Bound, BoundCapture

MAX_RANGE_BYTES = 64
MAX_GAP_BYTES = 8
"""What is not asked for is copied and sent as well: so much costs less than a call."""


def ranges(bound: Bound, conditions: object) -> tuple[RangeRead, ...]:
    """The ranges that a probe reads; ``conditions`` are those that it looks at before.

    Members of one struct in kernel memory alone, as they are one allocation: where one can be read,
    so can the others. Of user memory any page may be missing.
    """
    seen = Counter(node for node in walk(conditions) if isinstance(node, Load))
    seen.update(
        node for one in bound.captures for node in walk(one.value) if isinstance(node, Load)
    )
    structs: dict[object, list[tuple[Load, BoundCapture]]] = {}
    for one in bound.captures:
        load = one.value
        if isinstance(load, Load) and _is_member(load) and seen[load] == 1:
            structs.setdefault((load.base, load.struct), []).append((load, one))
    found = []
    for members in structs.values():
        members.sort(key=lambda member: member[0].offset)
        found += _ranges_of(members)
    return tuple(found)


def _is_member(load: Load) -> bool:
    return bool(load.member) and load.space is Space.KERNEL and not load.bit_size


def _ranges_of(members: Iterable[tuple[Load, BoundCapture]]) -> list[RangeRead]:
    """Members in the order of their offsets, put together where they are near each other."""
    groups: list[list[tuple[Load, BoundCapture]]] = []
    end = 0
    for load, one in members:
        behind = load.offset + load.type.size
        near = bool(groups) and 0 <= load.offset - end <= MAX_GAP_BYTES
        if near and behind - groups[-1][0][0].offset <= MAX_RANGE_BYTES:
            groups[-1].append((load, one))
        elif groups and load.offset < end:
            continue  # of a union: it has been read, as something else, and is read again
        else:
            groups.append([(load, one)])
        end = behind
    return [
        RangeRead(
            tuple(one.capture.name for _, one in group),
            tuple(load for load, _ in group),
        )
        for group in groups
        if len(group) > 1
    ]
