"""A file of descriptions: one a line, and ``#`` begins a comment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.model.regex import regex
from bpfprobe.model.span import SourceText

if TYPE_CHECKING:
    from collections.abc import Iterator

_COMMENT = regex(r"""(?:[^"'#]|"(?:\\.|[^"\\])*"?|'(?:\\.|[^'\\])*'?|(?<=\S)#)*""")


def definition_lines(text: str, name: str) -> Iterator[SourceText]:
    """Each description of a file called ``name``, labelled with its line.

    A comment begins at a ``#`` that starts a word, outside of quotes.
    """
    for number, line in enumerate(text.splitlines(), 1):
        found = _COMMENT.match(line)
        description = (found[0] if found else line).strip()
        if description:
            yield SourceText(description, f"{name}:{number}")
