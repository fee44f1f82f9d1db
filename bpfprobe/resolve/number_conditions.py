"""Comparisons of a number with a number, as the kernel's filters read the second."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import SpecError, spec_error
from bpfprobe.model.scalar import X64
from bpfprobe.model.value import (
    AllOf,
    AnyOf,
    BinaryOperation,
    Compare,
    Condition,
    Constant,
    NonZero,
    View,
)

if TYPE_CHECKING:
    from bpfprobe.model import expression as ast
    from bpfprobe.model.scalar import Scalar
    from bpfprobe.model.span import Span
    from bpfprobe.model.value import Value

_MIRROR = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "==", "!=": "!="}


def compare_numbers(expression: ast.Binary, left: Value, right: Value) -> Condition:
    """Two numbers with one of ``== != < <= > >=`` between them. Raises `SpecError`."""
    operator = expression.operator
    if isinstance(left, Constant) and not isinstance(right, Constant):
        left, right, operator = right, left, _MIRROR[operator]
    if isinstance(right, Constant):
        right = Constant(_as_field(expression, operator, left.type, right.value))
    return Compare(operator, left, right)


def test_bits(masked: BinaryOperation, span: Span) -> Condition:
    """``FIELD & MASK``: whether any of these bits is set. Raises `SpecError`."""
    if isinstance(masked.right, Constant):
        bits = 8 * masked.left.type.size
        if not -(1 << bits - 1) <= masked.right.value < 1 << bits:
            raise _too_large(masked.left.type, span)
    return NonZero(masked)


def within(value: Value, start: int, size: int, *, negated: bool) -> Condition:
    """Whether an address is (or is not) one of the ``size`` bytes from ``start``."""
    address = value if value.type == X64 else View(value, X64)
    if negated:
        return AnyOf(
            (
                Compare("<", address, Constant(start)),
                Compare(">=", address, Constant(start + size)),
            )
        )
    return AllOf(
        (Compare(">=", address, Constant(start)), Compare("<", address, Constant(start + size)))
    )


def _as_field(expression: ast.Binary, operator: str, scalar: Scalar, number: int) -> int:
    """The number as the value that is compared with it, which the kernel casts it to.

    What can never (or never not) be is refused, and so is what the cast would change beyond
    recognition: ``u8 == 300`` is 44 to the kernel.
    """
    bits = 8 * scalar.size
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if scalar.signed else (0, (1 << bits) - 1)
    equality = operator in ("==", "!=")
    if number == 0 and operator == "<" and not scalar.signed:
        raise spec_error(
            "MEANINGLESS",
            f"this is {scalar}, which is never negative",
            expression.span,
            _signed(scalar),
        )
    if low <= number <= high:
        return number
    if equality and scalar.signed and high < number < 1 << bits:
        return number - (1 << bits)  # 0xffffffff for -1
    if equality and scalar.size == 8 and not -number >> 63:
        return number  # a register may hold anything
    if number < 0 and not scalar.signed:
        raise spec_error(
            "ILLEGAL_INTVAL",
            f"this is compared with {scalar}, which is never negative",
            expression.span,
            _signed(scalar),
        )
    raise _too_large(scalar, expression.span)


def _signed(scalar: Scalar) -> str:
    name = f"s{8 * scalar.size}"  # a wider one would keep it as it is
    hint = f"give it a signed type: ({name}) before it, or :{name} in the capture"
    # Of an int the upper half of a register is anything.
    return f"{hint}; s32 if it is an int" if scalar == X64 else hint


def _too_large(scalar: Scalar, span: Span) -> SpecError:
    kind = "signed" if scalar.signed else "unsigned"
    return spec_error(
        "ILLEGAL_INTVAL",
        f"the number does not fit in {scalar}, the type of what it is compared with",
        span,
        f"{scalar} has {8 * scalar.size} bits, {kind}",
    )
