"""One capture, ``[NAME=]expression[:type]``, from text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bpfprobe.errors import spec_error
from bpfprobe.model.event import Event
from bpfprobe.model.expression import MemberOf, Name, Variable
from bpfprobe.model.spec import Capture, TypeName
from bpfprobe.parse.expression import parse_expression

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bpfprobe.model.expression import Expression
    from bpfprobe.model.span import SourceText, Span

RESERVED_NAMES = frozenset(
    name for name in {*dir(Event), *Event.__annotations__} if not name.startswith("_")
)
"""What every event has already; a capture of one of these names would hide it."""

MAX_NAME_CHARS = 32
MAX_ARRAY = 64
MAX_CAPTURES = 128

_NAMED = re.compile(r"\s*(?P<name>[^\s=()\[\]\"'<>!&|+*~^]*)=(?!=)")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TYPE = re.compile(
    r"(?P<base>[A-Za-z%][A-Za-z0-9_@/]*)(?P<array>\[(?P<count>[^\]]*)(?P<close>\])?)?"
)


def parse_capture(source: SourceText, word: Span, before: Sequence[Capture]) -> Capture:
    """A capture from a word of a definition; ``before`` are those to its left."""
    start = word.start
    name = ""
    if found := _NAMED.match(word.text):
        name = found["name"]
        name_span = source.span(start + found.start("name"), start + max(1, found.end("name")))
        check_capture_name(name, name_span)
        start += found.end()
    value, type_name = parse_value(source, start, word.end)
    if not name:
        name_span = source.span(start, word.end)
        name = _default_name(value, before)
    check_unused(name, name_span, before)
    return Capture(name, value, type_name, word, name_span)


def parse_value(source: SourceText, start: int, end: int) -> tuple[Expression, TypeName | None]:
    """``expression[:type]``."""
    colon = _type_colon(source.text, start, end)
    if colon < 0:
        return parse_expression(source, start, end), None
    return parse_expression(source, start, colon), parse_type(source.span(colon + 1, end))


def parse_type(span: Span) -> TypeName:
    """A type as the kernel spells it. Whether it exists is for a later stage to say."""
    text = span.text.strip()
    start = span.start + len(span.text) - len(span.text.lstrip())
    span = span.source.span(start, start + len(text)) if text else span
    found = _TYPE.fullmatch(text)
    if found is None:
        code = "BAD_ARRAY_SUFFIX" if "]" in text else "BAD_TYPE"
        raise spec_error(code, f"{text!r} is no type", span, "for example u32, s64, x8[16], string")
    if found["array"] is None:
        return TypeName(found["base"], 0, span)
    if found["close"] is None:
        raise spec_error("ARRAY_NO_CLOSE", "the array is not closed", span, "add ]")
    count = found["count"]
    if not (count.isascii() and count.isdecimal()) or int(count) == 0:
        raise spec_error(
            "BAD_ARRAY_NUM", "an array needs a number of elements", span, f"1 to {MAX_ARRAY}"
        )
    if int(count) > MAX_ARRAY:
        raise spec_error(
            "ARRAY_TOO_BIG",
            f"an array has at most {MAX_ARRAY} elements",
            span,
            "take it in several captures",
        )
    return TypeName(found["base"], int(count), span)


def check_capture_name(name: str, span: Span) -> None:
    """Raise unless ``name`` can be an attribute of an event."""
    if not name:
        raise spec_error("NO_ARG_NAME", "a name is missing before =", span)
    if not _IDENTIFIER.fullmatch(name):
        raise spec_error(
            "BAD_ARG_NAME", f"{name!r} is no name", span, "letters, digits and _, no digit first"
        )
    if len(name) > MAX_NAME_CHARS:
        raise spec_error(
            "ARG_NAME_TOO_LONG", f"a name has at most {MAX_NAME_CHARS} characters", span
        )
    if name in RESERVED_NAMES or name.startswith("_"):
        raise spec_error(
            "USED_ARG_NAME",
            f"{name} is a name that every event has already"
            if name in RESERVED_NAMES
            else "names that begin with _ are kept for events themselves",
            span,
            f"call it {name.lstrip('_') or 'value'}_",
        )


def check_unused(name: str, span: Span, before: Sequence[Capture]) -> None:
    """Raise when a capture of this name stands to the left."""
    if any(capture.name == name for capture in before):
        raise spec_error(
            "USED_ARG_NAME", f"the name {name} is used twice", span, "give one of them another name"
        )
    if len(before) >= MAX_CAPTURES:
        raise spec_error("TOO_MANY_ARGS", f"a probe has at most {MAX_CAPTURES} captures", span)


def _default_name(value: Expression, before: Sequence[Capture]) -> str:
    """The name of what is taken where it has one, else argN by its place, as in the kernel."""
    name = value.name if isinstance(value, (Name, Variable, MemberOf)) else ""
    taken = {capture.name for capture in before}
    usable = name and name not in RESERVED_NAMES and not name.startswith("_")
    if usable and len(name) <= MAX_NAME_CHARS and name not in taken:
        return name
    return f"arg{len(before) + 1}"


def _type_colon(text: str, start: int, end: int) -> int:
    """Where the colon before the type stands, -1 for none: the last outside of quotes."""
    quote, colon, at = "", -1, start
    while at < end:
        char = text[at]
        if quote:
            at += char == "\\"
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char == ":":
            colon = at
        at += 1
    return colon
