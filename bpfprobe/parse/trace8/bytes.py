"""STRCMP with ``-B``: memory compared with bytes, ``STRCMP("{0x6C, 0x00}", optval)``."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

from bpfprobe.errors import spec_error
from bpfprobe.model.expression import Binary, Cast, Element, Number
from bpfprobe.model.number import number_value

if TYPE_CHECKING:
    from bpfprobe.model.expression import Expression
    from bpfprobe.parse.scanner import Token

MAX_BYTES = 128
_WIDTHS = ((8, "u64"), (4, "u32"), (2, "u16"), (1, "u8"))


def same_bytes(literal: Token, value: Expression) -> Binary:
    """A condition: the memory at ``value`` begins with these bytes. Raises `SpecError`."""
    wanted = _bytes(literal)
    user = False
    if isinstance(value, Cast) and value.depth:  # argN@user, or an argument of the signature
        user, value = value.user, value.operand
    parts: list[Binary] = []
    at = 0
    while at < len(wanted):
        size, name = next(
            (size, name) for size, name in _WIDTHS if at % size == 0 and at + size <= len(wanted)
        )
        number = int.from_bytes(wanted[at : at + size], "little")
        span = value.span
        words = Cast(name, 1, False, value, span, literal.span, user=user)
        part = Element(words, at // size, span)
        parts.append(Binary("==", part, Number(number, literal.span), span, literal.span))
        at += size
    return reduce(lambda left, right: Binary("&&", left, right, left.span, literal.span), parts)


def _bytes(literal: Token) -> bytes:
    text = literal.value.decode("utf-8", "surrogateescape").strip()
    words = text.removeprefix("{").removesuffix("}").split(",")
    if not (text.startswith("{") and text.endswith("}")) or len(words) > MAX_BYTES:
        raise spec_error(
            "BAD_EXPRESSION",
            "with -B, STRCMP takes bytes in braces",
            literal.span,
            f'STRCMP("{{0x6C, 0x00, 0x00, 0x00}}", arg1), at most {MAX_BYTES} of them',
        )
    values = [_byte(word.strip()) for word in words]
    if any(value is None for value in values):
        raise spec_error(
            "BAD_EXPRESSION", "a byte is a number from 0 to 255", literal.span, "{0x6C, 0x00}"
        )
    return bytes(value for value in values if value is not None)


def _byte(word: str) -> int | None:
    try:
        value = number_value(word)
    except ValueError:
        return None
    return value if 0 <= value < 256 else None
