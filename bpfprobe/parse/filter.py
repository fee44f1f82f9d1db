"""A filter: an expression, and what is wrong with one in the words of the kernel's filters.

Every filter that the kernel takes (``filter`` files of Documentation/trace/events.rst) is an
expression of `bpfprobe.parse.expression` with the same meaning, so nothing is parsed twice. Only
when an expression cannot be read is it looked at as the kernel would (kernel/trace/
trace_events_filter.c), for the name that the kernel has for the mistake.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bpfprobe.errors import SpecError, spec_error
from bpfprobe.model.noun import replace
from bpfprobe.model.options import check_text
from bpfprobe.model.regex import regex
from bpfprobe.model.span import SourceText
from bpfprobe.parse.expression import parse_expression
from bpfprobe.parse.scanner import check_length

if TYPE_CHECKING:
    from bpfprobe.model.expression import Expression

_FIELD = regex(r"\s*(?:!(?![=~])\s*|\(\s*)*(?P<field>\w*)(?:\.(?:ustring|function))?\s*")
_OPERATOR = regex(r"~|!=|==|<=|<|>=|>|&(?!&)")
_VALUE = regex(
    r"""\s*(?:(?P<string>'[^']*'|"(?:\\.|[^"\\])*")
      | (?P<cpus>CPUS\{(?P<list>[^}]*)\}) | (?P<brace>CPUS)
      | (?P<number>-?[0-9][0-9A-Za-z]*) | (?P<number_missing>-))""",
    re.VERBOSE,
)
_NUMBER = regex(r"-?(?:0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)")
_NEXT = regex(r"(?:\s|\))*(?P<joint>&&|\|\||$)?")
_LONGEST_NUMBER = 23
_WAYS_OUT = {
    "INVALID_OP": "behind a field there is one of == != < <= > >= & ~",
    "INVALID_VALUE": "compare with a number, or with text in quotes",
    "ILLEGAL_INTVAL": "numbers are written 12, -12, 0x1f and 017 (octal), and have 64 bits",
    "OPERAND_TOO_LONG": "a number has at most 64 bits",
    "TOO_MANY_PREDS": "join two comparisons with && or ||",
    "MISSING_BRACE_OPEN": "CPUS{0-3}",
}
_EXAMPLE = 'for example: pid == 42 && comm ~ "ng*"'
_WITHOUT_A_KERNEL_NAME = frozenset(
    ["BAD_OPERATOR", "BAD_FETCH_ARG", "BAD_IMM", "DEREF_NEED_BRACE", "NO_ARG_BODY"]
)


def parse_filter_text(text: str) -> Expression | None:
    """A filter that comes alone. Raises `SpecError`, `OptionError`; None for ``0``."""
    check_text("filter", text)
    source = SourceText(text, "filter")
    check_length(source)
    return parse_filter(source)


def parse_filter(source: SourceText, start: int = 0, end: int | None = None) -> Expression | None:
    """Parse a stretch of text that must be one whole filter. Raises `SpecError`.

    None for ``0``, with which the kernel's files take a filter away.
    """
    stop = len(source.text) if end is None else end
    text = source.text[start:stop]
    if text.strip() == "0":
        return None
    if not text.strip():
        raise spec_error("NO_FILTER", "the filter is empty", source.span(start, stop), _EXAMPLE)
    _check_pairs(source, start, stop)
    try:
        return parse_expression(source, start, stop)
    except SpecError as error:
        known = _kernel_code(text) if error.code in _WITHOUT_A_KERNEL_NAME else None
        code = known or error.code
        diagnostics = [
            replace(wrong, code=code, hint=wrong.hint or _WAYS_OUT.get(code, _EXAMPLE))
            for wrong in error.diagnostics
        ]
        raise SpecError(diagnostics) from error


def _check_pairs(source: SourceText, start: int, stop: int) -> None:
    """Quotes and brackets, which the kernel counts before it looks at anything else."""
    text, at, opened = source.text, start, list[int]()
    while at < stop:
        char = text[at]
        if char in "\"'":
            at = _closing_quote(source, at, stop)
        elif char == "(":
            opened.append(at)
        elif char == ")":
            if not opened:
                raise spec_error(
                    "TOO_MANY_CLOSE",
                    "this ) closes nothing",
                    source.span(at, at + 1),
                    "remove it, or open a (",
                )
            opened.pop()
        at += 1
    if opened:
        span = source.span(opened[-1], opened[-1] + 1)
        raise spec_error("TOO_MANY_OPEN", "this ( is not closed", span, "add )")


def _closing_quote(source: SourceText, start: int, stop: int) -> int:
    text, at = source.text, start + 1
    while at < stop and text[at] != text[start]:
        at += 2 if text[at] == "\\" else 1
    if at >= stop:
        raise spec_error(
            "MISSING_QUOTE",
            f"the text that starts here is not closed with {text[start]}",
            source.span(start, stop),
            f"put {text[start]} at its end",
        )
    return at


def _kernel_code(text: str) -> str | None:
    """The kernel's name for the first thing that it could not read; None where it has none."""
    at = 0
    while at < len(text):
        field = _FIELD.match(text, at)
        assert field is not None
        if not field["field"]:
            return None if text[field.end() :].strip() else "NO_FILTER"
        operator = _OPERATOR.match(text, field.end())
        if operator is None:
            return "INVALID_OP"
        value = _VALUE.match(text, operator.end())
        if value is None:
            return "INVALID_VALUE"
        wrong = _value_code(value)
        if wrong is not None:
            return wrong
        follow = _NEXT.match(text, value.end())
        if follow is None or follow["joint"] is None:
            return "TOO_MANY_PREDS"
        at = follow.end()
    return None


def _value_code(value: re.Match[str]) -> str | None:
    if value["brace"]:
        rest = value.string[value.end() :]
        return "MISSING_BRACE_CLOSE" if rest.startswith("{") else "MISSING_BRACE_OPEN"
    number = value["number"] or value["number_missing"]
    if number is None:
        return None
    if len(number) > _LONGEST_NUMBER:
        return "OPERAND_TOO_LONG"
    fits = _NUMBER.fullmatch(number) and -(1 << 63) <= _as_int(number) < 1 << 64
    return None if fits else "ILLEGAL_INTVAL"


def _as_int(number: str) -> int:
    digits = number.removeprefix("-")
    base = 16 if digits[:2].lower() == "0x" else 8 if digits.startswith("0") else 10
    return int(number, base)
