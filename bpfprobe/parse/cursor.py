"""A place in a list of tokens, and what every rule of a grammar does there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import SpecError, spec_error
from bpfprobe.model.expression import Number
from bpfprobe.model.number import number_value

if TYPE_CHECKING:
    from bpfprobe.model.span import Span
    from bpfprobe.parse.scanner import Token


class Cursor:
    """Goes through tokens, the last of which is an ``end`` that it never passes."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0

    @property
    def token(self) -> Token:
        """The token here."""
        return self._tokens[self._at]

    def peek(self, ahead: int) -> Token:
        """The token so many further on."""
        return self._tokens[min(self._at + ahead, len(self._tokens) - 1)]

    def next(self) -> Token:
        """The token here, which is passed."""
        token = self.token
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def take(self, *texts: str) -> Token | None:
        """The token here if it is one of these operators, which is passed."""
        if self.token.kind == "operator" and self.token.text in texts:
            return self.next()
        return None

    def close(self, opened: Token, code: str, closing: str = ")") -> Token:
        """The bracket that closes ``opened``. Raises `SpecError` where it is missing."""
        closed = self.take(closing)
        if closed is None:
            raise error_at(opened.span, code, f"this {opened.text} is not closed", f"add {closing}")
        return closed

    def here(self, code: str, message: str, hint: str | None = None) -> SpecError:
        """An error about the token here."""
        return spec_error(code, message, self.token.span, hint)


def error_at(span: Span, code: str, message: str, hint: str | None = None) -> SpecError:
    """An error about a stretch of the text."""
    return spec_error(code, message, span, hint)


def number_of(token: Token) -> int:
    """The value of a number. Raises `SpecError` for one that is none."""
    try:
        value = number_value(token.text)
    except ValueError:
        raise spec_error(
            "BAD_IMM", f"{token.text} is not an octal number", token.span, "drop the leading 0"
        ) from None
    if value >= 1 << 64:
        raise spec_error("BAD_IMM", "the number does not fit in 64 bits", token.span)
    return value


def negative(number: Number, span: Span) -> Number:
    """The number below zero. Raises `SpecError` where 64 bits do not hold it."""
    if number.value > 1 << 63:
        raise spec_error("BAD_IMM", "the number does not fit in 64 bits", span)
    return Number(-number.value, span)
