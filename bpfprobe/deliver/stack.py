"""Stacks with names, the innermost frame first, as trace(8) prints them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.deliver.message import location_text
from bpfprobe.errors import SessionError
from bpfprobe.model.event import of_hit
from bpfprobe.model.layout import FieldKind
from bpfprobe.model.noun import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfprobe.model.event import Event
    from bpfprobe.model.layout import Field
    from bpfprobe.model.symbol import Location, Symbolizer

INDENT = " " * 8


@dataclass(frozen=True, slots=True)
class Frame:
    """A call in a stack: where it returns to, or where the innermost one stands.

    ``place`` is None where nothing is known of the address. As text ``malloc+0x1c [libc.so.6]``,
    safe for a terminal.
    """

    address: int
    place: Location | None

    def __str__(self) -> str:
        return location_text(self.place)


def stack_field(event: Event, name: str) -> Field:
    """The field of that name. Raises `SessionError` where it is no stack."""
    stacks = {f.name: f for f in event.layout.fields if f.kind is FieldKind.STACK}
    if name not in stacks:
        known = ", ".join(stacks) or "none: capture kstack or ustack"
        raise SessionError(f"{name} is no stack of {event.probe}", hint=f"stacks are {known}")
    return stacks[name]


def frames(event: Event, field: Field, symbols: Symbolizer) -> tuple[Frame, ...] | None:
    """The frames of a field that is a stack; None for a fault."""
    addresses = getattr(event, field.name)
    if addresses is None:
        return None
    if field.user:
        pid = of_hit(event, "pid")
        return tuple(Frame(address, symbols.user(pid, address)) for address in addresses)
    return tuple(Frame(address, symbols.kernel(address)) for address in addresses)


def stack_lines(event: Event, symbols: Symbolizer, *, addresses: bool = False) -> Iterator[str]:
    """``FUNCTION+0xOFFSET [MODULE]`` for each frame of each stack of the event."""
    for field in event.layout.fields:
        if field.kind is not FieldKind.STACK:
            continue
        found = frames(event, field, symbols)
        if found is None:
            yield f"{INDENT}(fault)"
            continue
        for frame in found:
            shown = f"{frame.address:16x} " if addresses else ""
            yield f"{INDENT}{shown}{frame}"
        if field.name in event.truncated:
            yield f"{INDENT}..."
