"""A piece of the text that a user wrote, so that every complaint can point at its place."""

from __future__ import annotations

from bpfprobe.model.noun import dataclass
from bpfprobe.model.printable import columns, printable

MAX_SHOWN = 120
"""How many characters of a line an error shows."""


@dataclass(frozen=True, slots=True)
class SourceText:
    """One text as the user wrote it, with a label that says where it came from.

    ``label`` is a file name with line, a command-line argument, or a keyword of a Python call
    (``capture 'path'``, ``filter``).
    """

    text: str
    label: str = "description"

    def span(self, start: int, end: int) -> Span:
        """The part from ``start`` up to, not including, ``end``."""
        return Span(self, start, end)

    def whole(self) -> Span:
        """All of the text."""
        return Span(self, 0, len(self.text))


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open range of characters of a `SourceText`."""

    source: SourceText
    start: int
    end: int

    @property
    def text(self) -> str:
        """The characters in the range."""
        return self.source.text[self.start : self.end]

    def to(self, other: Span) -> Span:
        """The range from the start of this span to the end of ``other``."""
        return Span(self.source, min(self.start, other.start), max(self.end, other.end))

    def drawing(self) -> list[str]:
        """The line that holds the span, and under it a caret line, both indented by two.

        Of a long line the part around the span is shown. Columns are those of the terminal: what
        cannot be printed takes the room of its escape, a wide character two.
        """
        text = self.source.text
        line_start = text.rfind("\n", 0, self.start) + 1
        line_end = text.find("\n", self.start)
        line = text[line_start : line_end if line_end >= 0 else len(text)]
        before = printable(line[: self.start - line_start])
        marked = printable(line[self.start - line_start : self.end - line_start])
        shown = before + marked + printable(line[max(self.start, self.end) - line_start :])
        cut = 0
        if len(shown) > MAX_SHOWN:
            cut = max(0, min(len(before) - MAX_SHOWN // 4, len(shown) - MAX_SHOWN))
            marked = marked[: cut + MAX_SHOWN - len(before)]
            more = "..." * (cut + MAX_SHOWN < len(shown))
            shown = "..." * (cut > 0) + shown[cut : cut + MAX_SHOWN] + more
        indent = " " * (columns(before[cut:]) + 3 * (cut > 0))
        return [f"  {shown}", f"  {indent}^" + "~" * (columns(marked) - 1)]
