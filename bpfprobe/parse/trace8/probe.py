"""A whole description of trace(8).

::

    description = place ["(" C signature ")"] [WS "(" predicate ")"]
                  [WS] [ '"' format '"' { "," expression } ]

The signature touches the place; a predicate has white space, or a signature, before it. That is
how trace(8) tells them apart as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import spec_error
from bpfprobe.model.description import DEFAULT_STRING_BYTES
from bpfprobe.model.expression import Cast, MemberOf, Name, Variable
from bpfprobe.model.message import Conversion, Message
from bpfprobe.model.names import MAX_NAME_CHARS, RESERVED_NAMES
from bpfprobe.model.spec import Capture, ProbeSpec, TypeName
from bpfprobe.model.walk import walk
from bpfprobe.parse.capture import MAX_CAPTURES
from bpfprobe.parse.definition import default_name
from bpfprobe.parse.scanner import check_length
from bpfprobe.parse.trace8.expression import ExpressionParser
from bpfprobe.parse.trace8.format import Hole, parse_format
from bpfprobe.parse.trace8.place import parse_place
from bpfprobe.parse.trace8.signature import parse_signature

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from bpfprobe.model.expression import Expression
    from bpfprobe.model.span import SourceText, Span
    from bpfprobe.parse.trace8.place import Place
    from bpfprobe.parse.trace8.signature import NamedArgument


def parse_trace8(
    source: SourceText,
    *,
    string_bytes: int = DEFAULT_STRING_BYTES,
    binary_strings: bool = False,
) -> ProbeSpec:
    """The probe of a description, with what its rows say. Raises `SpecError`.

    ``binary_strings`` is trace(8)'s ``-B``: STRCMP takes bytes.
    """
    check_length(source)
    text = source.text
    start = len(text) - len(text.lstrip())
    if start == len(text):
        raise spec_error("NO_ARG_BODY", "the description is empty", source.whole(), "vfs_read")
    at = start
    while at < len(text) and text[at] not in " \t\n(":
        at += 1
    place = parse_place(source.span(start, at))
    named: Mapping[str, NamedArgument] = {}
    if at < len(text) and text[at] == "(":
        signature = _bracketed(source, at)
        named = _signature(signature, place)
        at = signature.end
    parts = _Parts(source, place, named, binary_strings)
    at = _skip_space(text, at)
    condition: Expression | None = None
    if at < len(text) and text[at] == "(":
        predicate = _bracketed(source, at)
        condition = parts.predicate(predicate)
        at = _skip_space(text, predicate.end)
    captures, message = parts.action(at)
    return ProbeSpec(
        name=default_name(place.point),
        point=place.point,
        point_span=place.span,
        captures=captures,
        filter=condition,
        string_bytes=string_bytes,
        source=source,
        message=message,
    )


def _signature(span: Span, place: Place) -> dict[str, NamedArgument]:
    if not place.has_signature:
        raise spec_error(
            "BAD_SIGNATURE",
            "only functions have a signature",
            span,
            "fields of a tracepoint are args->NAME, values of a marker arg1, arg2 ...; a predicate "
            "stands behind a space",
        )
    return parse_signature(span)


class _Parts:
    """What follows the place, all of it read with the same names."""

    def __init__(
        self,
        source: SourceText,
        place: Place,
        named: Mapping[str, NamedArgument],
        binary_strings: bool,
    ) -> None:
        self._source = source
        self._place = place
        self._named = named
        self._binary_strings = binary_strings
        self._in_predicate: frozenset[str] = frozenset()

    def predicate(self, span: Span) -> Expression:
        """What stands in the brackets of ``span``."""
        parser = self._parser(span.start + 1, span.end - 1)
        condition = parser.expression()
        parser.expect_end()
        self._in_predicate = frozenset(
            node.name for node in walk(condition) if isinstance(node, (Name, MemberOf))
        )
        return condition

    def action(self, start: int) -> tuple[tuple[Capture, ...], Message]:
        """The format and its values."""
        text = self._source.text
        if start == len(text):
            return (), Message(self._place.function)
        if text[start] != '"':
            raise spec_error(
                "BAD_FORMAT",
                "a predicate in brackets, or a format in double quotes, was expected",
                self._source.span(start, len(text.rstrip())),
                'FUNCTION (arg3 > 20000) "read %d bytes", arg3; in our own form a kind comes '
                "first, kprobe:FUNCTION VALUE ...",
            )
        end = _end_of_quote(self._source, start)
        parts = parse_format(self._source.span(start, end))
        parser = self._parser(_skip_space(text, end), len(text.rstrip()))
        comma = parser.take_comma()
        captures: list[Capture] = []
        made: list[str | Conversion] = []
        for part in parts:
            if isinstance(part, str):
                made.append(part)
                continue
            if parser.at_end() or (captures and not parser.take_comma()):
                parser.expect_end()
                raise spec_error(
                    "BAD_FORMAT",
                    "there is no value for this",
                    part.span,
                    "write it behind the format, after a comma",
                )
            captures.append(self._capture(part, parser, captures))
            name = captures[-1].name
            made.append(Conversion(part.shape, name, part.flags, part.width, part.precision))
        _check_all_used(parser, any_comma=comma and not captures)
        return tuple(captures), Message(self._place.function, tuple(made))

    def _capture(self, hole: Hole, parser: ExpressionParser, before: list[Capture]) -> Capture:
        if len(before) >= MAX_CAPTURES:
            raise spec_error(
                "TOO_MANY_ARGS", f"a probe takes at most {MAX_CAPTURES} values", hole.span
            )
        is_text = hole.type_name == "string"
        value = parser.text() if is_text else parser.expression()
        kind = TypeName(hole.type_name, 0, hole.span)
        # A filter looks at captures first, and these are cut to what the format says.
        taken = (
            {capture.name for capture in before} | RESERVED_NAMES | self._in_predicate | {"args"}
        )
        return Capture(_name(value, taken), value, kind, value.span, value.span)

    def _parser(self, start: int, end: int) -> ExpressionParser:
        return ExpressionParser(
            self._source,
            start,
            max(start, end),
            self._named,
            is_tracepoint=self._place.is_tracepoint,
            binary_strings=self._binary_strings,
        )


def _check_all_used(parser: ExpressionParser, *, any_comma: bool) -> None:
    if any_comma or parser.take_comma():
        extra = parser.expression()
        raise spec_error(
            "BAD_FORMAT", "the format has no conversion for this", extra.span, "add one: %d"
        )
    parser.expect_end()


def _name(value: Expression, taken: Collection[str]) -> str:
    """A name for a value of a format, the value's own if it has one that is free."""
    own = value.span.text
    while isinstance(value, Cast):
        value = value.operand
    if not own.isidentifier():  # one of the signature's
        own = value.name if isinstance(value, (Name, Variable, MemberOf)) else ""
    return next(name for name in _names(own) if name not in taken)


def _names(own: str) -> Iterator[str]:
    stem = "value"
    if own and not own.startswith("_") and len(own) < MAX_NAME_CHARS - 4:
        stem = own
        yield own
    for number in range(1, MAX_CAPTURES + 2):
        yield f"{stem}_{number}"


def _skip_space(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def _bracketed(source: SourceText, start: int) -> Span:
    """From an opening bracket to the one that closes it; those in quotes do not count."""
    text, depth, at = source.text, 0, start
    while at < len(text):
        if text[at] in "\"'":
            at = _end_of_quote(source, at)
            continue
        depth += (text[at] == "(") - (text[at] == ")")
        at += 1
        if not depth:
            return source.span(start, at)
    raise spec_error(
        "TOO_MANY_OPEN", "this ( is not closed", source.span(start, start + 1), "add )"
    )


def _end_of_quote(source: SourceText, start: int) -> int:
    text, at = source.text, start + 1
    while at < len(text) and text[at] != text[start]:
        at += 1 + (text[at] == "\\")
    if at >= len(text):
        raise spec_error(
            "IMMSTR_NO_CLOSE",
            f"the text that starts here is not closed with {text[start]}",
            source.span(start, len(text)),
            f"put {text[start]} at its end",
        )
    return at + 1
