"""Values as ftrace prints them: ``name=0x1f name="text" name='c' name={1,2} name=(fault)``.

The formats are those of kernel/trace/trace_probe.c (PRINT_TYPE_FUNC_NAME). What differs: control
characters are escaped, and a number that could not be read is ``(fault)`` where the kernel has 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bpfprobe.deliver.escape import escape
from bpfprobe.model.layout import FieldKind
from bpfprobe.model.scalar import Style

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfprobe.model.event import Event
    from bpfprobe.model.layout import Field

FAULT = "(fault)"


def ftrace_values(event: Event) -> Iterator[tuple[str, str]]:
    """Each capture of an event with its text."""
    for field in event.layout.captured():
        yield field.name, _shown(getattr(event, field.name), field)


def _shown(value: Any, field: Field) -> str:
    if value is None and field.kind is FieldKind.TEXTS:
        value = (None,) * field.count
    if value is None:
        return FAULT
    if isinstance(value, tuple):
        return "{" + ",".join(_one(part, field) for part in value) + "}"
    return _one(value, field)


def _one(value: Any, field: Field) -> str:
    if value is None:
        return FAULT
    if field.kind in (FieldKind.CHARACTER, FieldKind.ARRAY) and field.style is Style.CHARACTER:
        return f"'{escape(value if isinstance(value, str) else chr(value))}'"
    if isinstance(value, str):
        return f'"{escape(value)}"'
    if field.style is Style.HEX:
        return f"{value:#x}"
    if field.style is Style.BOOLEAN:
        return str(int(value))
    return str(value)
