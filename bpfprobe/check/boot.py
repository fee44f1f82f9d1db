"""What holds for one boot of a machine alone, and so for nothing that is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import spec_error
from bpfprobe.model.value import SymbolAddress
from bpfprobe.model.walk import walk

if TYPE_CHECKING:
    from bpfprobe.model.bound import Bound
    from bpfprobe.model.span import Span


def refuse_addresses(bound: Bound) -> None:
    """Raise `SpecError` (OBJECT_ADDRESS) where the address of a kernel symbol is asked for."""
    for each in bound.captures:
        _refuse(each.value, each.capture.span)
    if bound.spec.filter is not None:
        _refuse(bound.filter, bound.spec.filter.span)


def _refuse(value: object, span: Span) -> None:
    for node in walk(value):
        if isinstance(node, SymbolAddress) and node.symbol:
            raise spec_error(
                "OBJECT_ADDRESS",
                f"{node.symbol} is at another address after each boot, so an object with it would "
                "hold for this boot alone",
                span,
                "leave it out of what is built; bpfprobe trace can have it",
            )
