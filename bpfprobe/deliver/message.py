"""The text of a message: its values, as printf(3) would write them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bpfprobe.deliver.escape import escape
from bpfprobe.deliver.table import shown
from bpfprobe.model.event import of_hit
from bpfprobe.model.message import Conversion, Shape

if TYPE_CHECKING:
    from bpfprobe.model.event import Event
    from bpfprobe.model.message import Message
    from bpfprobe.model.symbol import Location, Symbolizer


def message_text(message: Message, event: Event, symbols: Symbolizer) -> str:
    """The message of an event, safe for a terminal.

    What could not be read is ``(fault)``, and ``...`` follows what was cut.
    """
    return "".join(
        escape_literal(part) if isinstance(part, str) else _converted(part, event, symbols)
        for part in message.parts
    )


def escape_literal(text: str) -> str:
    """The user's own text: backslashes stay as they were written."""
    return "\\".join(escape(part) for part in text.split("\\"))


def _converted(part: Conversion, event: Event, symbols: Symbolizer) -> str:
    value = getattr(event, part.field)
    if value is None:
        return _padded("(fault)", part)
    if part.shape is Shape.TEXT:
        text = shown(event, event.layout.field(part.field))
        if part.precision >= 0:
            text = text[: part.precision]
        return _padded(text, part)
    if part.shape is Shape.CHARACTER:
        return _padded(escape(chr(value)), part)
    if part.shape is Shape.KERNEL_SYMBOL:
        return _padded(location_text(symbols.kernel(value), with_module=False), part)
    if part.shape is Shape.USER_SYMBOL:
        return _padded(location_text(symbols.user(of_hit(event, "pid"), value)), part)
    return _number(value, part)


def _number(value: Any, part: Conversion) -> str:
    precision = f".{part.precision}" if part.precision >= 0 else ""
    text: str = f"%{part.flags}{part.width or ''}{precision}{part.shape.value}" % int(value)
    return text


def _padded(text: str, part: Conversion) -> str:
    return text.ljust(part.width) if "-" in part.flags else text.rjust(part.width)


def location_text(place: Location | None, *, with_module: bool = True) -> str:
    """``vfs_read+0x1 [kernel]`` as bcc prints it; ``[unknown]`` for what has no name."""
    if place is None:
        return "[unknown]"
    name = f"{escape(place.name)}+{place.offset:#x}" if place.name else "[unknown]"
    if not with_module:
        return name
    module = escape(place.module.rpartition("/")[2]).strip("[]")  # of [vdso] or [anon] one pair
    return f"{name} [{module or 'kernel'}]"
