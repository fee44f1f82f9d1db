"""A filter that comes alone, for a probe that there is already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.model.span import SourceText
from bpfprobe.parse.expression import parse_expression
from bpfprobe.parse.scanner import check_length

if TYPE_CHECKING:
    from bpfprobe.model.expression import Expression


def parse_filter(text: str) -> Expression:
    """The condition. Raises `SpecError`."""
    if not isinstance(text, str):
        raise TypeError(f"filter must be a str, not {type(text).__name__}")
    source = SourceText(text, "filter")
    check_length(source)
    return parse_expression(source)
