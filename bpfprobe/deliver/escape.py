"""Text from the kernel or a program, made safe for a terminal: one line, no control characters."""

from __future__ import annotations

from bpfprobe.model.printable import printable


def escape(text: str) -> str:
    r"""The text with everything unprintable written as ``\n``, ``\xHH`` or ``\uHHHH``.

    Control characters of ASCII and bytes that were no UTF-8 become ``\xHH``. Other control
    characters (C1), invisible and bidirectional ones become ``\uHHHH``. A backslash is doubled, so
    that two texts never look the same.
    """
    if text.isprintable() and "\\" not in text:
        return text
    return printable(text.replace("\\", "\\\\"))
