"""How a return probe gets what was there on entry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import spec_error
from bpfprobe.model.plan import STACK_TEXT_BYTES, Pairing
from bpfprobe.model.site import TracepointSite
from bpfprobe.model.value import Argument, Duration, GlobText, Kept, MaskedText, SyscallArgument
from bpfprobe.model.walk import can_fail, walk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bpfprobe.model.bound import Bound
    from bpfprobe.model.site import Site
    from bpfprobe.model.value import Condition, Value


MAX_KEPT = 24
"""They are put together on the stack of the entry program, which has 512 bytes for everything."""


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


def _outermost(part: object) -> Iterator[Kept | Argument | SyscallArgument | Duration]:
    """The values that come from the entry; what is inside of a Kept is part of it."""
    inside = 0
    for node in walk(part):
        if inside:
            inside -= 1
        elif isinstance(node, Kept):
            inside = sum(1 for _ in walk(node)) - 1
            yield node
        elif isinstance(node, (Argument, SyscallArgument, Duration)):
            yield node


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
    keeps_faults = any(can_fail(value) for value in kept)
    if len(kept) > MAX_KEPT:
        raise spec_error(
            "TOO_MANY_EARGS",
            f"{len(kept)} values would have to be kept from entry, and {MAX_KEPT} is the most",
            bound.spec.point_span,
            "take some of them in a probe of their own, on entry",
        )
    rooms = [node.room for node in walk(kept) if isinstance(node, (MaskedText, GlobText))]
    if any(room > STACK_TEXT_BYTES for room in rooms):
        raise spec_error(
            "OPERAND_TOO_LONG",
            f"text that entry(...) compares has {STACK_TEXT_BYTES - 2} bytes at most, and no * but "
            "at its end",
            bound.spec.point_span,
            "compare it without entry(...), or in a probe of its own, on entry",
        )
    return Pairing(entry, kept, keeps_time, by_frame, map_index, because, keeps_faults)
