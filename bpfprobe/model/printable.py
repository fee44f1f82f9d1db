r"""Text made safe for a terminal: what a terminal would act on, or would not show, is spelt out.

Which characters those are is what `str.isprintable` says by Unicode's categories: controls (C0, DEL
and C1, whose ``\x9b`` begins an escape sequence as ESC [ does), invisible and bidirectional ones
(https://trojansource.codes), separators of lines and paragraphs, lone surrogates, all blanks but
the space, and what is not assigned.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_NAMED = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}


def printable(line: str) -> str:
    r"""Return the line with what cannot be printed as ``\n``, ``\t``, ``\xHH`` or ``\uHHHH``.

    What is beyond U+FFFF is ``\UHHHHHHHH``, a byte that was not UTF-8 (surrogateescape) ``\xHH``.
    Backslashes stay, so that the text may be made printable again without change;
    `bpfprobe.escape` doubles them.
    """
    if line.isprintable():
        return line
    return "".join(char if char.isprintable() else _spelt(char) for char in line)


def lines_text(lines: Iterable[str]) -> str:
    """Return a text of these lines, each printable: none of them can forge another."""
    return "\n".join(map(printable, lines))


def columns(text: str) -> int:
    """Return how many columns of a terminal a printable text takes."""
    if text.isascii():
        return len(text)
    from unicodedata import category, east_asian_width

    return sum(
        0 if category(char) in ("Mn", "Me") else 1 + (east_asian_width(char) in "WF")
        for char in text
    )


def _spelt(char: str) -> str:
    if char in _NAMED:
        return _NAMED[char]
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that surrogateescape kept
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
