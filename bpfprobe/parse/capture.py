"""One capture, ``[NAME=]expression[:type]``, from text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import SpecError, spec_error
from bpfprobe.model.expression import MemberOf, Name, Variable
from bpfprobe.model.layout import HEADER
from bpfprobe.model.names import MAX_NAME_CHARS, RESERVED_NAMES, can_be_named, default_capture_name
from bpfprobe.model.noun import replace
from bpfprobe.model.regex import regex
from bpfprobe.model.spec import Capture
from bpfprobe.model.type_names import check_type_name
from bpfprobe.parse.expression import parse_expression
from bpfprobe.parse.fetch_type import parse_type
from bpfprobe.parse.fetcharg import kernel_complaint

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from bpfprobe.model.expression import Expression
    from bpfprobe.model.span import SourceText, Span
    from bpfprobe.model.spec import TypeName

MAX_CAPTURES = 128

_NAMED = regex(r"\s*(?P<name>[^\s=()\[\]\"'<>!&|+*~^]*)=(?!=)")
_IDENTIFIER = regex(r"[A-Za-z_][A-Za-z0-9_]*")


def parse_capture(
    source: SourceText,
    word: Span,
    before: Sequence[Capture],
    *,
    in_program: bool = False,
    is_kernels: bool = False,
) -> Capture:
    """A capture from a word of a definition; ``before`` are those to its left.

    One without a name is called argN until `with_names`; for the kernel that is its name.
    """
    start = word.start
    name = ""
    if found := _NAMED.match(word.text):
        name = found["name"]
        name_span = source.span(start + found.start("name"), start + max(1, found.end("name")))
        check_capture_name(name, name_span)
        start += found.end()
    value, type_name = parse_value(source, start, word.end, in_program=in_program)
    if not name:
        name_span = source.span(start, word.end)
        name = f"arg{len(before) + 1}"
    if _is_all_arguments(value) and any(_is_all_arguments(other.value) for other in before):
        raise spec_error(
            "DOUBLE_ARGS", "$arg* is there twice", word, "once brings all the arguments there are"
        )
    if _is_all_arguments(value) and (found or type_name):
        raise spec_error(
            "BAD_VAR",
            "$arg* stands for several values, each with its own name and type",
            value.span,
            "leave out the name and the type",
        )
    if is_kernels:
        check_unused(name, name_span, before)
    elif found:
        check_unused(name, name_span, [one for one in before if not _is_unnamed(one)])
    return Capture(name, value, type_name, word, name_span)


def with_names(captures: Sequence[Capture], *, is_kernels: bool = False) -> list[Capture]:
    """Return the captures, those without a name called by what they take, else by their place.

    The name of one is never that of another value: ``$arg1`` has its own, wherever it stands. In
    the kernel's definitions %ax may be arg1 and $arg1 arg2, and $comm is as any other value.
    """
    taken = {capture.name for capture in captures if not _is_unnamed(capture)}
    reserved = HEADER if is_kernels else ()
    own = {} if is_kernels else _own_names(captures, taken)
    named = []
    for place, capture in enumerate(captures, 1):
        if _is_unnamed(capture):
            name = own.get(place) or default_capture_name(
                _own_name(capture.value), taken.union(reserved, own.values()), place
            )
            taken.add(name)
            capture = replace(capture, name=name)
        named.append(capture)
    return named


def _own_names(captures: Sequence[Capture], taken: Collection[str]) -> dict[int, str]:
    """Return the names of what has one, by place: of two that are alike the first has it."""
    own: dict[int, str] = {}
    for place, capture in enumerate(captures, 1):
        name = _own_name(capture.value)
        if _is_unnamed(capture) and can_be_named(name, {*taken, *own.values()}):
            own[place] = name
    return own


def _is_unnamed(capture: Capture) -> bool:
    return capture.name_span == capture.span


def _is_all_arguments(value: Expression) -> bool:
    return isinstance(value, Variable) and value.name == "arg*"


_OF_OURS = ("TOO_MANY_NESTED", "TOO_MANY_OPS")
"""Limits that are no mistake of form, for which the kernel would have a code and a place."""


def parse_value(
    source: SourceText, start: int, end: int, *, in_program: bool = False
) -> tuple[Expression, TypeName | None]:
    """``expression[:type]``."""
    colon = _type_colon(source.text, start, end)
    stop = end if colon < 0 else colon
    type_name = None if colon < 0 else parse_type(source.span(colon + 1, end))
    try:
        return parse_expression(source, start, stop), type_name
    except SpecError as error:
        if type_name is not None:
            check_type_name(type_name)  # the kernel looks at the type first
        if error.code in _OF_OURS:
            raise
        complaint = kernel_complaint(source, start, stop, in_program=in_program)
        if complaint is None:
            raise
        raise complaint from error


def check_capture_name(name: str, span: Span) -> None:
    """Raise unless ``name`` can be an attribute of an event."""
    if not name:
        raise spec_error("NO_ARG_NAME", "a name is missing before =", span)
    if not _IDENTIFIER.fullmatch(name):
        raise spec_error(
            "BAD_ARG_NAME", f"{name!r} is not a name", span, "letters, digits and _, no digit first"
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
        raise spec_error(
            "TOO_MANY_ARGS",
            f"a probe has at most {MAX_CAPTURES} captures",
            before[0].span,
            "make it two probes of one place",
        )


def _own_name(value: Expression) -> str:
    """Return the name of what is taken, empty where it has none."""
    return value.name if isinstance(value, (Name, Variable, MemberOf)) else ""


def _type_colon(text: str, start: int, end: int) -> int:
    """Where the colon before the type stands, -1 for none: the first outside of quotes."""
    quote, at = "", start
    while at < end:
        char = text[at]
        if quote:
            at += char == "\\"
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char == ":":
            return at
        at += 1
    return -1
