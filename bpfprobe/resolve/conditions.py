"""Expression -> condition: what a filter means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import SpecError, spec_error
from bpfprobe.model import expression as ast
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
    TextEquals,
    TextMatches,
    Truth,
)
from bpfprobe.resolve.expressions import not_a_number, resolve_number, resolve_operand
from bpfprobe.resolve.operand import MemoryOperand, NumberOperand, describe, number_of, text_of

if TYPE_CHECKING:
    from bpfprobe.model.value import TextValue, Value
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
            return _flat(AllOf(both)) if expression.operator == "&&" else AnyOf(both)
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


def _flat(condition: AllOf) -> AllOf:
    parts: list[Condition] = []
    for part in condition.conditions:
        parts.extend(part.conditions if isinstance(part, AllOf) else [part])
    return AllOf(tuple(parts))


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
    for side in (left, right):
        operand = resolve_operand(side, scope)
        if text_of(operand) is not None and number_of(operand) is None:
            raise spec_error(
                "EXPECT_STRING",
                f"{side.span.text} is {describe(operand)} and compares with text only",
                side.span,
                'put the text in double quotes: "..."',
            )
    return _number_comparison(expression, resolve_number(left, scope), resolve_number(right, scope))


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
        raise _no_text(other, operand, scope)
    _check_literal(literal, text, glob=expression.operator == "~")
    if expression.operator == "~":
        if isinstance(text, ConstantText):
            raise spec_error("MEANINGLESS", "this is the same at every hit", expression.span)
        return TextMatches(text, literal.value)
    if expression.operator not in ("==", "!="):
        raise spec_error(
            "BAD_OPERATOR",
            f"{expression.operator} does not compare strings",
            expression.operator_span,
            "== != and ~ do",
        )
    return TextEquals(text, literal.value, negated=expression.operator == "!=")


def _no_text(other: ast.Expression, operand: object, scope: Scope) -> SpecError:
    hint = "compare it with a number"
    if isinstance(operand, NumberOperand) and operand.ktype is None:
        hint = f"if it points to text, say so: +0({other.span.text}), or (char *){other.span.text}"
    assert isinstance(operand, (NumberOperand, MemoryOperand)) or hasattr(operand, "vector")
    return spec_error(
        "EXPECT_DIGIT",
        f"{other.span.text} is {describe(operand)}, not a string",  # type: ignore[arg-type]  # the assertion above
        other.span,
        hint,
    )


def _check_literal(literal: ast.Text, text: TextValue, *, glob: bool) -> None:
    if len(literal.value) > MAX_LITERAL_BYTES:
        raise spec_error(
            "OPERAND_TOO_LONG",
            f"a string in a filter has at most {MAX_LITERAL_BYTES} bytes",
            literal.span,
        )
    if b"\0" in literal.value:
        raise spec_error(
            "BAD_IMM", "text in the kernel ends at a NUL, so none holds one", literal.span
        )
    if isinstance(text, CommText) and not glob and len(literal.value) > MAX_COMM_BYTES:
        raise spec_error(
            "MEANINGLESS",
            f"comm has at most {MAX_COMM_BYTES} bytes, so it is never this",
            literal.span,
            f'the kernel cuts it: "{literal.value[:MAX_COMM_BYTES].decode(errors="replace")}"',
        )
