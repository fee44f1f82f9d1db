"""Cuts the text of an expression into tokens, each with its place."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bpfprobe.errors import spec_error
from bpfprobe.model.noun import dataclass
from bpfprobe.model.regex import regex

if TYPE_CHECKING:
    from bpfprobe.model.span import SourceText, Span

MAX_CHARS = 4094
"""The kernel's limit for a line of kprobe_events."""

_ESCAPES = {"n": 10, "t": 9, "r": 13, "0": 0, "\\": 92, '"': 34, "'": 39, "a": 7, "b": 8, "e": 27}

_IN_GLOBS = ("\\*", "\\?", "\\[", "\\]")
"""What these mean is for the glob to say: in it they stand for the character itself."""

_TOKEN = regex(
    r"""(?P<space>\s+)
      | (?P<number>0[xX][0-9a-fA-F]+|[0-9]+)
      | (?P<cpus>CPUS\{[^}]*\}?)
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<variable>\$[A-Za-z_][A-Za-z0-9_]*|\$)
      | (?P<operator>->|&&|\|\||==|!=|<=|>=|<<|>>|[-+*/%&|^~!<>()\[\].,:=@\\])
      | (?P<quote>["'])
    """,
    re.VERBOSE,
)


def check_length(source: SourceText) -> None:
    """Raise for a text that is longer than any description has to be."""
    if len(source.text) > MAX_CHARS:
        raise spec_error(
            "ARG_TOO_LONG",
            f"this has {len(source.text)} characters, and {MAX_CHARS} is the most",
            source.span(0, 40),
            "make it several probes",
        )


@dataclass(frozen=True, slots=True)
class Token:
    """A token: ``kind`` is number, cpus, name, variable, operator, string, character or end.

    ``touches`` is true where no white space stands before it.
    """

    kind: str
    text: str
    span: Span
    touches: bool
    value: bytes = b""


def scan(source: SourceText, start: int = 0, end: int | None = None) -> list[Token]:
    """The tokens of a stretch of text, an ``end`` token last. Raises `SpecError`."""
    stop = len(source.text) if end is None else end
    tokens: list[Token] = []
    at, touches = start, False
    while at < stop:
        found = _TOKEN.match(source.text, at, stop)
        if found is None:
            raise spec_error(
                "BAD_FETCH_ARG",
                f"{_shown(source.text[at])} has no meaning here",
                source.span(at, at + 1),
                "expressions are written with names, numbers, strings and C operators",
            )
        kind = str(found.lastgroup)
        if kind == "quote":
            token = _quoted(source, at, stop, touches)
            tokens.append(token)
            at = token.span.end
        else:
            if kind != "space":
                span = source.span(at, found.end())
                tokens.append(Token(kind, found.group(), span, touches))
            at = found.end()
        touches = kind != "space"
    tokens.append(Token("end", "", source.span(stop, stop), touches))
    return tokens


def _quoted(source: SourceText, start: int, stop: int, touches: bool) -> Token:
    quote = source.text[start]
    value = bytearray()
    at = start + 1
    while at < stop:
        char = source.text[at]
        if char == quote:
            kind = "character" if quote == "'" and len(value) == 1 else "string"
            span = source.span(start, at + 1)
            return Token(kind, source.text[start : at + 1], span, touches, bytes(value))
        if source.text[at : at + 2] in _IN_GLOBS:
            value += source.text[at : at + 2].encode()
            at += 2
        elif char == "\\":
            at, byte = _escape(source, at, stop)
            value.append(byte)
        else:
            value += _encoded(source, at)
            at += 1
    raise spec_error(
        "IMMSTR_NO_CLOSE",
        f"the text that starts here is not closed with {quote}",
        source.span(start, stop),
        f"put {quote} at its end",
    )


def _encoded(source: SourceText, at: int) -> bytes:
    try:
        return source.text[at].encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise spec_error(
            "BAD_IMM",
            "this is half of a character (a lone surrogate)",
            source.span(at, at + 1),
            r"write its bytes as \xHH",
        ) from None


def _escape(source: SourceText, at: int, stop: int) -> tuple[int, int]:
    text = source.text
    follow = text[at + 1] if at + 1 < stop else ""
    if follow == "x":
        digits = text[at + 2 : min(at + 4, stop)]
        if re.fullmatch("[0-9a-fA-F]{2}", digits):
            return at + 4, int(digits, 16)
    elif follow in _ESCAPES:
        return at + 2, _ESCAPES[follow]
    raise spec_error(
        "BAD_IMM",
        f"unknown escape \\{_shown(follow) if follow else ''}",
        source.span(at, min(at + 2, stop)),
        r"known are \n \t \r \0 \a \b \e \\ \" \' and \xHH",
    )


def _shown(char: str) -> str:
    return f"'{char}'" if char.isprintable() else repr(char)
