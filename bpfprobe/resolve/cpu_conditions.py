"""``FIELD & CPUS{0-3}``: which CPUs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import spec_error
from bpfprobe.model.cpulist import parse_cpulist
from bpfprobe.model.ktype import KArray
from bpfprobe.model.scalar import U64
from bpfprobe.model.value import (
    AllOf,
    AnyOf,
    BinaryOperation,
    Builtin,
    BuiltinValue,
    Compare,
    Condition,
    Constant,
    Load,
    NonZero,
)
from bpfprobe.resolve.operand import MemoryOperand, describe, number_of, text_of

if TYPE_CHECKING:
    from bpfprobe.model import expression as ast
    from bpfprobe.model.value import Value
    from bpfprobe.resolve.operand import Operand
    from bpfprobe.resolve.scope import Scope

CPUMASK = "cpumask_t"
"""What a type is called that holds a bit for each CPU."""


def compare_with_cpus(
    expression: ast.Binary, operand: Operand, cpus: ast.CpuList, scope: Scope
) -> Condition:
    """Whether a CPU is in a set, or a set of CPUs meets or equals another. Raises `SpecError`."""
    operator = expression.operator
    if operator not in ("==", "!=", "&"):
        raise spec_error(
            "ILLEGAL_FIELD_OP",
            f"{operator} does not compare with a set of CPUs",
            expression.operator_span,
            "== != and & do",
        )
    try:
        ranges = parse_cpulist(cpus.text, scope.target.facts().cpus)
    except ValueError as error:
        raise spec_error(
            "INVALID_CPULIST", str(error), cpus.span, "for example CPUS{0-3,8}"
        ) from None
    ktype = operand.ktype if isinstance(operand, MemoryOperand) else None
    if (
        isinstance(operand, MemoryOperand)
        and isinstance(ktype, KArray)
        and ktype.spelling == CPUMASK
    ):
        return _masks(operator, operand, ktype.count, ranges)
    value = number_of(operand)
    if value is None or text_of(operand) is not None:
        raise spec_error(
            "ILLEGAL_FIELD_OP",
            f"{expression.left.span.text} is {describe(operand)}, not a CPU",
            expression.left.span,
            "a set of CPUs compares with the number of a CPU, or with another set",
        )
    return _number(expression, operator, value, ranges)


def _number(
    expression: ast.Binary, operator: str, value: Value, ranges: tuple[tuple[int, int], ...]
) -> Condition:
    single = len(ranges) == 1 and ranges[0][0] == ranges[0][1]
    if operator != "&" and not single:
        raise spec_error(
            "MEANINGLESS",
            "one CPU is never equal to several",
            expression.span,
            f"to ask for one of them: {expression.left.span.text} & {expression.right.span.text}",
        )
    if single:
        return Compare("==" if operator == "&" else operator, value, Constant(ranges[0][0]))
    return _any_of([_in_range(value, *each) for each in ranges])


def _in_range(value: Value, low: int, high: int) -> Condition:
    if low == high:
        return Compare("==", value, Constant(low))
    below = Compare("<=", value, Constant(high))
    never_negative = isinstance(value, BuiltinValue) and value.builtin is Builtin.CPU
    if low == 0 and (never_negative or not value.type.signed):
        return below
    return AllOf((Compare(">=", value, Constant(low)), below))


def _masks(
    operator: str, operand: MemoryOperand, words: int, ranges: tuple[tuple[int, int], ...]
) -> Condition:
    bits = sum(((1 << high - low + 1) - 1) << low for low, high in ranges)
    loads = [
        (Load(operand.base, operand.offset + 8 * n, U64, operand.space), _word(bits, n))
        for n in range(words)
    ]
    if operator == "&":
        return _any_of(
            [
                NonZero(BinaryOperation("&", load, Constant(word), U64))
                for load, word in loads
                if word
            ]
        )
    parts = tuple(Compare(operator, load, Constant(word)) for load, word in loads)
    if len(parts) == 1:
        return parts[0]
    return AllOf(parts) if operator == "==" else AnyOf(parts)


def _word(bits: int, number: int) -> int:
    return bits >> 64 * number & (1 << 64) - 1


def _any_of(parts: list[Condition]) -> Condition:
    return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))
