"""Which lines of the C text do the work of which part of a description.

While programs are printed a line carries its mark with it, through templates and joins; `settle`
takes the marks off when the text is whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.model.object import Origin

if TYPE_CHECKING:
    from bpfprobe.model.span import Span

_MARK = "\x01"  # no text of a program has it


class OriginRegister:
    """Collects parts of descriptions while the programs that do their work are printed."""

    def __init__(self) -> None:
        self._spans: list[Span] = []

    def mark(self, span: Span) -> str:
        """What a line that does the work of a part of a description ends with."""
        if not self._spans or self._spans[-1] != span:
            self._spans.append(span)
        return f"{_MARK}{len(self._spans) - 1}"

    def settle(self, text: str) -> tuple[str, tuple[Origin, ...]]:
        """The text without marks, and what they said."""
        clean: list[str] = []
        origins: list[Origin] = []
        for number, marked in enumerate(text.split("\n"), 1):
            line, _, mark = marked.partition(_MARK)
            clean.append(line)
            if not mark:
                continue
            span = self._spans[int(mark)]
            if origins and origins[-1].span == span and origins[-1].last == number - 1:
                origins[-1] = Origin(origins[-1].first, number, span)
            else:
                origins.append(Origin(number, number, span))
        return "\n".join(clean), tuple(origins)
