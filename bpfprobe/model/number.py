"""Numbers as the kernel reads them, with kstrtoul() and base 0."""

from __future__ import annotations

from bpfprobe.model.regex import regex

NUMBER = regex(r"0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*")
"""What is a number to the kernel: 08 is none."""


def number_value(text: str) -> int:
    """The value of a number: 0x for hexadecimal, a leading 0 for octal. Raises ValueError."""
    if text[:2] in ("0x", "0X"):
        return int(text, 16)
    if len(text) > 1 and text[0] == "0":
        return int(text, 8)
    return int(text)
