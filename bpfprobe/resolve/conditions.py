"""Expression -> condition: what a filter means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import SpecError, spec_error
from bpfprobe.model import expression as ast
from bpfprobe.model.glob import MAX_TOKENS, is_prefix_glob, parse_glob
from bpfprobe.model.value import (
    AllOf,
    AnyOf,
    CommText,
    Compare,
    Condition,
    Constant,
    ConstantText,
    NonZero,
    Not,
    TextAt,
    TextEquals,
    TextMatches,
    Truth,
)
from bpfprobe.resolve.expressions import resolve_operand
from bpfprobe.resolve.operand import (
    ArgvOperand,
    NumberOperand,
    describe,
    not_a_number,
    number_of,
    text_of,
)

if TYPE_CHECKING:
    from bpfprobe.model.value import TextValue, Value
    from bpfprobe.resolve.operand import Operand
    from bpfprobe.resolve.scope import Scope

_COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">="})
_MIRROR = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "==", "!=": "!="}
MAX_LITERAL_BYTES = 255
"""The kernel's limit for a string in a filter (MAX_FILTER_STR_VAL)."""
MAX_COMM_BYTES = 15


def resolve_condition(expression: ast.Expression, scope: Scope) -> Condition:
    """What the expression says is true or false. Raises `SpecError`."""
    if isinstance(expression, ast.Unary) and expression.operator == "!":
        return Not(resolve_condition(expression.operand, scope))
    if isinstance(expression, ast.Binary):
        if expression.operator in ("&&", "||"):
            both = (
                resolve_condition(expression.left, scope),
                resolve_condition(expression.right, scope),
            )
            return AllOf(_flat(AllOf, both)) if expression.operator == "&&" else _any_of(both)
        if expression.operator == "~" or expression.operator in _COMPARISONS:
            return _comparison(expression, scope)
    if isinstance(expression, ast.Text):
        raise spec_error(
            "BAD_FILTER",
            "a string alone is neither true nor false",
            expression.span,
            'comm == "sh"',
        )
    operand = resolve_operand(expression, scope)
    value = number_of(operand)
    if value is None:
        raise not_a_number(operand, expression.span)
    if isinstance(value, Truth):
        return value.condition
    return NonZero(value)


def _any_of(both: tuple[Condition, ...]) -> AnyOf:
    return AnyOf(_flat(AnyOf, both))


def _flat(kind: type[AllOf | AnyOf], both: tuple[Condition, ...]) -> tuple[Condition, ...]:
    """``a && b && c`` as three in a row."""
    parts: list[Condition] = []
    for part in both:
        parts.extend(part.conditions if isinstance(part, kind) else [part])
    return tuple(parts)


def _comparison(expression: ast.Binary, scope: Scope) -> Condition:
    left, right = expression.left, expression.right
    if isinstance(right, ast.Text):
        return _text_comparison(expression, left, right, scope)
    if isinstance(left, ast.Text):
        if expression.operator == "~":
            raise spec_error(
                "BAD_FILTER", "the glob stands to the right of ~", right.span, 'path ~ "/tmp/*"'
            )
        return _text_comparison(expression, right, left, scope)
    if expression.operator == "~":
        raise spec_error(
            "BAD_FILTER", "~ needs a glob in double quotes", right.span, 'path ~ "/tmp/*"'
        )
    return _number_comparison(expression, _side(left, scope), _side(right, scope))


def _side(expression: ast.Expression, scope: Scope) -> Value:
    """A side of a comparison of numbers."""
    operand = resolve_operand(expression, scope)
    value = number_of(operand)
    if value is not None:
        return value
    if text_of(operand) is not None:
        raise spec_error(
            "EXPECT_STRING",
            f"{expression.span.text} is {describe(operand)} and compares with text only",
            expression.span,
            'put the text in double quotes: "..."',
        )
    raise not_a_number(operand, expression.span)


def _number_comparison(expression: ast.Binary, left: Value, right: Value) -> Condition:
    operator = expression.operator
    if isinstance(left, Constant) and not isinstance(right, Constant):
        left, right, operator = right, left, _MIRROR[operator]
    if isinstance(right, Constant) and not left.type.signed:
        _check_range(expression, operator, left, right.value)
    return Compare(operator, left, right)


def _check_range(expression: ast.Binary, operator: str, left: Value, constant: int) -> None:
    """Refuse what can never (or never not) be: an unsigned number below zero."""
    never = (constant < 0 and left.type.size < 8) or (constant == 0 and operator == "<")
    if never or (constant < 0 and operator in ("<", "<=", ">", ">=")):
        raise spec_error(
            "MEANINGLESS",
            f"the left side is {left.type}, which is never negative",
            expression.span,
            "give it a signed type: (s32) or (s64) before it, or :s32 in the capture",
        )


def _text_comparison(
    expression: ast.Binary, other: ast.Expression, literal: ast.Text, scope: Scope
) -> Condition:
    operand = resolve_operand(other, scope)
    text = text_of(operand)
    if text is None:
        raise _no_text(other, operand)
    _check_literal(literal, text, glob=expression.operator == "~")
    if expression.operator == "~":
        if isinstance(text, ConstantText):
            raise spec_error(
                "MEANINGLESS", "this is the same at every hit", expression.span, "leave it out"
            )
        return _matches(text, literal)
    if expression.operator not in ("==", "!="):
        raise spec_error(
            "BAD_OPERATOR",
            f"{expression.operator} does not compare strings",
            expression.operator_span,
            "== != and ~ do",
        )
    return TextEquals(text, literal.value, negated=expression.operator == "!=")


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
    if isinstance(operand, ArgvOperand):
        hint = "take it as a capture and look at it in the program"
    elif isinstance(operand, NumberOperand) and operand.ktype is None:
        hint = f"if it points to text, say so: +0({other.span.text}), or (char *){other.span.text}"
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
    return text.size - 1 if isinstance(text, TextAt) and text.size else None
