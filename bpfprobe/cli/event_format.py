"""The fields of an event in the form of tracefs' ``format`` files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.model.layout import FieldKind
from bpfprobe.model.scalar import Style

if TYPE_CHECKING:
    from bpfprobe.model.layout import Field, Layout

_TEXT = {
    FieldKind.STRING: "char[]",
    FieldKind.STRINGS: "char[]",
    FieldKind.TEXTS: "char[]",
    FieldKind.BYTES: "u8[]",
    FieldKind.STACK: "u64[]",
}


def event_format(layout: Layout) -> str:
    """``name:``, then a ``field:`` line for each; ``__data_loc`` is what differs in length."""
    lines = [f"name: {layout.name}", "format:"]
    placed = [f for f in layout.fields if f.kind is not FieldKind.CONSTANT]
    for field in sorted(placed, key=lambda f: f.offset):
        lines.append(
            f"\tfield:{_declaration(field)};\toffset:{field.offset};\tsize:{field.size};"
            f"\tsigned:{int(field.signed)};"
        )
    return "\n".join(lines)


def _declaration(field: Field) -> str:
    if field.in_tail:
        return f"__data_loc {_TEXT[field.kind]} {field.name}"
    if field.kind is FieldKind.COMM:
        return f"char {field.name}[{field.size}]"
    bits = field.size // field.count * 8
    letter = "f" if field.style is Style.FLOAT else "s" if field.signed else "u"
    base = f"{letter}{bits}"
    if field.kind is FieldKind.ARRAY:
        return f"{base} {field.name}[{field.count}]"
    return f"{base} {field.name}"
