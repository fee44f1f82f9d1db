"""Comparisons of text with a string or a glob."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from bpfprobe.errors import SpecError, spec_error
from bpfprobe.model.glob import MAX_TOKENS, is_prefix_glob, parse_glob
from bpfprobe.model.value import (
    AnyOf,
    CommText,
    Compare,
    Condition,
    Constant,
    ConstantText,
    Not,
    PlaceNumber,
    PlaceText,
    Space,
    TextAt,
    TextEquals,
    TextMatches,
)
from bpfprobe.resolve.operand import (
    ArgvOperand,
    NumberOperand,
    StackOperand,
    TextOperand,
    describe,
    text_of,
)

if TYPE_CHECKING:
    from bpfprobe.model import expression as ast
    from bpfprobe.model.value import TextValue
    from bpfprobe.resolve.operand import Operand

MAX_LITERAL_BYTES = 255
"""The kernel's limit for a string in a filter (MAX_FILTER_STR_VAL)."""
MAX_COMM_BYTES = 15


def compare_text(
    expression: ast.Binary, other: ast.Expression, operand: Operand, literal: ast.Text
) -> Condition:
    """``other``, which stands for ``operand``, and a string. Raises `SpecError`."""
    text = text_of(operand)
    if expression.operator not in ("==", "!=", "~"):
        raise spec_error(
            "ILLEGAL_FIELD_OP",
            f"{expression.operator} does not compare strings",
            expression.operator_span,
            "== != and ~ do",
        )
    if text is None:
        raise _no_text(other, operand)
    if isinstance(text, PlaceText):
        return _one_of_places(expression, text, literal)
    _check_literal(literal, text, glob=expression.operator == "~")
    if expression.operator == "~":
        if isinstance(text, ConstantText):
            raise spec_error(
                "MEANINGLESS", "this is the same at every hit", expression.span, "leave it out"
            )
        return _matches(text, literal)
    return TextEquals(text, literal.value, negated=expression.operator == "!=")


def _one_of_places(expression: ast.Binary, text: PlaceText, literal: ast.Text) -> Condition:
    """``func`` of a glob: the names are known, so it is their numbers that are compared."""
    wanted = literal.value.decode("utf-8", "surrogateescape")
    is_glob, negated = expression.operator == "~", expression.operator == "!="
    if is_glob and wanted.startswith("!"):
        wanted, negated = wanted[1:], True
    fits = [fnmatchcase(name, wanted) if is_glob else name == wanted for name in text.names]
    if not any(fits):
        raise spec_error(
            "MEANINGLESS",
            f"none of the {len(fits)} functions is called so",
            literal.span,
            f"they are {', '.join(text.names[:5])}{', ...' * (len(fits) > 5)}",
        )
    fewer = sum(fits) <= len(fits) // 2
    some = AnyOf(
        tuple(
            Compare("==", PlaceNumber(), Constant(number))
            for number, is_it in enumerate(fits)
            if is_it == fewer
        )
    )
    return some if fewer != negated else Not(some)


def in_user_memory(other: ast.Expression, operand: Operand) -> Operand:
    """``FIELD.ustring``: the text that a pointer into user memory points to."""
    if isinstance(operand, TextOperand):
        return operand  # it has been fetched, wherever it was
    text = text_of(operand, Space.USER)
    untyped = isinstance(operand, NumberOperand) and operand.ktype is None
    if isinstance(operand, NumberOperand) and untyped and operand.value.type.size == 8:
        text = TextAt(operand.value, Space.USER)
    if text is None:
        raise _no_text(other, operand)
    return TextOperand(text)


def _matches(text: TextValue, literal: ast.Text) -> TextMatches:
    """A glob; as in the kernel's filters a ``!`` in front turns it around."""
    negated = literal.value.startswith(b"!")
    pattern = literal.value[negated:]
    if not is_prefix_glob(pattern) and len(parse_glob(pattern)) > MAX_TOKENS:
        raise spec_error(
            "OPERAND_TOO_LONG",
            f"a glob has at most {MAX_TOKENS} characters, a class in brackets counted as one",
            literal.span,
            "plain text with one * at its end may be longer",
        )
    return TextMatches(text, pattern, negated)


def _no_text(other: ast.Expression, operand: Operand) -> SpecError:
    hint = "compare it with a number"
    if isinstance(operand, (ArgvOperand, StackOperand)):
        hint = "take it as a capture and look at it in the program"
    elif isinstance(operand, NumberOperand) and operand.ktype is None:
        hint = f"if it points to text, say so: +0({other.span.text})"
    return spec_error(
        "EXPECT_DIGIT",
        f"{other.span.text} is {describe(operand)}, not a string",
        other.span,
        hint,
    )


def _check_literal(literal: ast.Text, text: TextValue, *, glob: bool) -> None:
    if len(literal.value) > MAX_LITERAL_BYTES:
        raise spec_error(
            "OPERAND_TOO_LONG",
            f"a string in a filter has at most {MAX_LITERAL_BYTES} bytes",
            literal.span,
            'compare its beginning: ~ "beginning*"',
        )
    if b"\0" in literal.value:
        raise spec_error(
            "BAD_IMM",
            "text in the kernel ends at a NUL, so none holds one",
            literal.span,
            "leave out the \\0 and what follows it",
        )
    most = _longest(text)
    if most is not None and not glob and len(literal.value) > most:
        raise spec_error(
            "MEANINGLESS",
            f"this text has at most {most} bytes, so it is never what is asked for",
            literal.span,
            f'the kernel cuts it: "{literal.value[:most].decode(errors="replace")}"',
        )


def _longest(text: TextValue) -> int | None:
    """How long the text can be without its NUL, None where there is no bound."""
    if isinstance(text, CommText):
        return MAX_COMM_BYTES
    return text.size if isinstance(text, TextAt) and text.size else None
