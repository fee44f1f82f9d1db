"""Expression -> condition: what a filter means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import SpecError, spec_error
from bpfprobe.model import expression as ast
from bpfprobe.model.ktype import KStruct
from bpfprobe.model.value import (
    AllOf,
    AnyOf,
    BinaryOperation,
    Condition,
    NonZero,
    Not,
    Truth,
)
from bpfprobe.resolve.cpu_conditions import compare_with_cpus
from bpfprobe.resolve.expressions import resolve_operand
from bpfprobe.resolve.function_conditions import in_function
from bpfprobe.resolve.number_conditions import compare_numbers, test_bits
from bpfprobe.resolve.operand import describe, ktype_of, not_a_number, number_of, text_of
from bpfprobe.resolve.text_conditions import compare_text, in_user_memory

if TYPE_CHECKING:
    from bpfprobe.model.value import Value
    from bpfprobe.resolve.operand import Operand
    from bpfprobe.resolve.scope import Scope

_COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">=", "~"})


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
        if expression.operator in _COMPARISONS or isinstance(expression.right, ast.CpuList):
            return _comparison(expression, scope)
        if expression.operator == "&" and _is_of_text_or_function(expression, scope):
            return _comparison(expression, scope)
    return _truth(expression, scope)


def _is_of_text_or_function(expression: ast.Binary, scope: Scope) -> bool:
    """Whether this is not a mask: what a comparison says against it is said of it as well."""
    left, right = expression.left, expression.right
    if isinstance(right, ast.Text) or (isinstance(left, ast.MemberOf) and left.name == "function"):
        return True
    if not isinstance(left, (ast.Name, ast.MemberOf)):
        return False
    operand = resolve_operand(left, scope)
    return number_of(operand) is None and text_of(operand) is not None


def _truth(expression: ast.Expression, scope: Scope) -> Condition:
    """What stands alone, without a comparison."""
    if isinstance(expression, ast.Text):
        raise spec_error(
            "BAD_FILTER",
            "a string alone is neither true nor false",
            expression.span,
            'comm == "sh"',
        )
    operand = resolve_operand(expression, scope)
    value = number_of(operand)
    if value is None and text_of(operand) is not None:
        raise spec_error(
            "INVALID_OP",
            f"{expression.span.text} is {describe(operand)}, neither true nor false",
            expression.span,
            f'compare it: {expression.span.text} == "text", or ~ "glob*"',
        )
    if value is None:
        raise not_a_number(operand, expression.span)
    if isinstance(value, Truth):
        return value.condition
    if isinstance(value, BinaryOperation) and value.operator == "&":
        return test_bits(value, expression.span)
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
    if isinstance(left, ast.MemberOf) and not left.arrow and left.name == "function":
        base = _of_field(left, scope)
        if base is not None:
            return in_function(expression, left.base, base, scope)
    if isinstance(right, ast.CpuList):
        return compare_with_cpus(expression, resolve_operand(left, scope), right, scope)
    literal = _literal(right)
    if literal is not None:
        operand = _field(left, scope)
        if isinstance(right, ast.Text) or text_of(operand) is not None:
            return compare_text(expression, left, operand, literal)
    if isinstance(left, ast.Text):
        if expression.operator == "~":
            raise spec_error(
                "BAD_FILTER", "the glob stands to the right of ~", right.span, 'path ~ "/tmp/*"'
            )
        return compare_text(expression, right, resolve_operand(right, scope), left)
    return _numbers(expression, scope)


def _literal(right: ast.Expression) -> ast.Text | None:
    """The right side as a string: ``"x"``, ``'text'``, and ``'x'`` where text is compared."""
    if isinstance(right, ast.Text):
        return right
    if isinstance(right, ast.Number) and right.is_character:
        return ast.Text(bytes([right.value]), right.span)
    return None


def _field(expression: ast.Expression, scope: Scope) -> Operand:
    """What is compared with a string: a field, or with ``.ustring`` what it points to."""
    if isinstance(expression, ast.MemberOf) and not expression.arrow:
        base = _of_field(expression, scope) if expression.name == "ustring" else None
        if base is not None:
            return in_user_memory(expression.base, base)
    return resolve_operand(expression, scope)


def _of_field(suffixed: ast.MemberOf, scope: Scope) -> Operand | None:
    """What stands before ``.ustring`` or ``.function``; None where that is a struct's member."""
    base = resolve_operand(suffixed.base, scope)
    return None if isinstance(ktype_of(base), KStruct) else base


def _numbers(expression: ast.Binary, scope: Scope) -> Condition:
    left, right = expression.left, expression.right
    operand = resolve_operand(left, scope)
    is_text = number_of(operand) is None and text_of(operand) is not None
    if expression.operator == "~" or (is_text and not isinstance(right, ast.Number)):
        raise _no_glob_or_text(expression, is_text=is_text)
    return compare_numbers(expression, _number(left, operand), _side(right, scope))


def _no_glob_or_text(expression: ast.Binary, *, is_text: bool) -> SpecError:
    right = expression.right
    if isinstance(right, ast.Number):
        if is_text:
            return _expects_string(expression.left, "a string")
        return spec_error(
            "ILLEGAL_FIELD_OP",
            "~ is for text",
            expression.operator_span,
            "numbers have == != < <= > >= and &",
        )
    return spec_error(
        "INVALID_VALUE",
        f"{expression.operator} needs a text in quotes here",
        right.span,
        f'did you forget the quotes? "{right.span.text}"',
    )


def _side(expression: ast.Expression, scope: Scope) -> Value:
    """The right side of a comparison of numbers."""
    try:
        operand = resolve_operand(expression, scope)
    except SpecError as error:
        if error.code != "FIELD_NOT_FOUND" or not isinstance(expression, ast.Name):
            raise
        raise spec_error("INVALID_VALUE", error.message, expression.span, error.hint) from error
    if number_of(operand) is None and text_of(operand) is not None:
        raise spec_error(
            "INVALID_VALUE",
            f"{expression.span.text} is {describe(operand)}, and a number is compared with it",
            expression.span,
            "a string stands to the left of a text in quotes",
        )
    return _number(expression, operand)


def _number(expression: ast.Expression, operand: Operand) -> Value:
    value = number_of(operand)
    if value is not None:
        return value
    if text_of(operand) is not None:
        raise _expects_string(expression, describe(operand))
    raise not_a_number(operand, expression.span)


def _expects_string(expression: ast.Expression, kind: str) -> SpecError:
    return spec_error(
        "EXPECT_STRING",
        f"{expression.span.text} is {kind} and compares with text only",
        expression.span,
        'put the text in double quotes: "..."',
    )
