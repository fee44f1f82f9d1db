"""Stacks as lines, the innermost frame first, as trace(8) prints them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.deliver.message import location_text
from bpfprobe.model.layout import FieldKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfprobe.model.event import Event
    from bpfprobe.model.symbol import Location, Symbolizer

INDENT = " " * 8


def stack_lines(event: Event, symbols: Symbolizer, *, addresses: bool = False) -> Iterator[str]:
    """``FUNCTION+0xOFFSET [MODULE]`` for each frame of each stack of the event."""
    for field in event.layout.fields:
        if field.kind is not FieldKind.STACK:
            continue
        frames = getattr(event, field.name)
        if frames is None:
            yield f"{INDENT}(fault)"
            continue
        for address in frames:
            shown = f"{address:16x} " if addresses else ""
            yield f"{INDENT}{shown}{location_text(_found(event, field.user, address, symbols))}"
        if field.name in event.truncated:
            yield f"{INDENT}..."


def _found(event: Event, user: bool, address: int, symbols: Symbolizer) -> Location | None:
    return symbols.user(event.pid, address) if user else symbols.kernel(address)
