"""Text from the kernel or a program, made safe for a terminal: one line, no control characters."""

from __future__ import annotations

_NAMED = {"\n": "\\n", "\t": "\\t", "\r": "\\r", "\\": "\\\\"}


def escape(text: str) -> str:
    r"""The text with everything unprintable written as ``\n``, ``\xHH`` or ``\uHHHH``.

    Control characters of ASCII and bytes that were no UTF-8 become ``\xHH``. Other control
    characters (C1), invisible and bidirectional ones become ``\uHHHH``. A backslash is doubled, so
    that two texts never look the same.
    """
    if text.isprintable() and "\\" not in text:
        return text
    return "".join(_escaped(char) for char in text)


def _escaped(char: str) -> str:
    if char in _NAMED:
        return _NAMED[char]
    if char.isprintable():
        return char
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that surrogateescape kept
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
