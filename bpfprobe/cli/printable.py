"""Names of files and symbols may hold anything; a terminal obeys what it is sent."""

from __future__ import annotations


def printable(text: str) -> str:
    """``text`` with each character that is not printable as Python would escape it."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
