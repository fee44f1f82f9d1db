"""A probe whose numbers have the sizes that were settled for its events before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.model.layout import FieldKind
from bpfprobe.model.noun import replace
from bpfprobe.model.scalar import Style
from bpfprobe.model.spec import TypeName

if TYPE_CHECKING:
    from bpfprobe.model.layout import Field, Layout
    from bpfprobe.model.spec import ProbeSpec


def pinned(spec: ProbeSpec, layout: Layout) -> ProbeSpec:
    """Each number that was asked for without a type, with that of its field."""
    fields = {field.name: field for field in layout.fields}
    captures = tuple(
        replace(capture, type=TypeName(_type_name(fields[capture.name]), 0, capture.span))
        if capture.type is None and _is_number(fields.get(capture.name))
        else capture
        for capture in spec.captures
    )
    return replace(spec, captures=captures)


def _is_number(field: Field | None) -> bool:
    return (
        field is not None
        and field.kind is FieldKind.INTEGER
        and field.style in (Style.DECIMAL, Style.HEX)
        and not field.bit_size
    )


def _type_name(field: Field) -> str:
    letter = "x" if field.style is Style.HEX else "s" if field.signed else "u"
    return f"{letter}{8 * field.size}"
