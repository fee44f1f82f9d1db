"""How a return probe gets what was there on entry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.model.plan import Pairing
from bpfprobe.model.site import TracepointSite
from bpfprobe.model.value import Argument, Duration, Kept, SyscallArgument
from bpfprobe.model.walk import walk

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bpfprobe.model.bound import Bound
    from bpfprobe.model.site import Site
    from bpfprobe.model.value import Condition, Value


def kept_values(bound: Bound, guards: Iterable[Condition]) -> tuple[tuple[Value, ...], bool]:
    """What must be kept from entry, each once, and whether the moment must be as well."""
    kept: dict[Value, None] = {}
    keeps_time = False
    for part in (*[capture.value for capture in bound.captures], *guards):
        for value in _outermost(part):
            if isinstance(value, Duration):
                keeps_time = True
            elif isinstance(value, Kept):
                kept[value.value] = None
            else:
                kept[value] = None
    return tuple(kept), keeps_time


def _outermost(part: object) -> list[Value]:
    """The values that come from the entry; what is inside of a Kept is part of it."""
    found: list[Value] = []
    inside: set[int] = set()
    for node in walk(part):
        if id(node) in inside:
            continue
        if isinstance(node, Kept):
            inside.update(id(inner) for inner in walk(node.value))
            found.append(node)
        elif isinstance(node, (Argument, SyscallArgument, Duration)):
            found.append(node)
    return found


def pair(
    bound: Bound, entry: Site, guards: Iterable[Condition], *, map_index: int, kernel: bool
) -> Pairing | None:
    """The pairing of a return probe, None where its entry matters in no way."""
    kept, keeps_time = kept_values(bound, guards)
    by_frame = not isinstance(entry, TracepointSite)
    if kept or keeps_time:
        because = "values from entry are kept for the return"
    elif kernel:
        because = "entries are counted, so that returns the kernel missed are known"
    else:
        return None
    return Pairing(entry, kept, keeps_time, by_frame, map_index, because)
