"""Floats: taken where they are memory or bits at hand, never from a vector register."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import SpecError, spec_error
from bpfprobe.model.ktype import KFloat, KPointer
from bpfprobe.model.value import ByPlace, Kept, Load, RegisterValue, Value, View
from bpfprobe.resolve.operand import (
    MemoryOperand,
    NumberOperand,
    Operand,
    describe,
    ktype_of,
    not_a_number,
    value_of,
)

if TYPE_CHECKING:
    from bpfprobe.model.scalar import Scalar
    from bpfprobe.model.spec import Capture, TypeName


def float_value(capture: Capture, type_name: TypeName, operand: Operand, scalar: Scalar) -> Value:
    """The operand seen as ``f32`` or ``f64``. Raises `SpecError`."""
    ktype = ktype_of(operand)
    if isinstance(operand, MemoryOperand) and ktype is None:
        return Load(operand.base, operand.offset, scalar, operand.space)
    value = value_of(operand)
    if value is None:
        raise not_a_number(operand, capture.value.span)
    if ktype is not None and (not isinstance(ktype, KFloat) or ktype.size != scalar.size):
        text = capture.value.span.text
        is_pointer = isinstance(ktype, KPointer)
        raise spec_error(
            "BAD_TYPE",
            f"{text} is {describe(operand)}, not {scalar}",
            type_name.span,
            f"what it leads to is +0({text}):{scalar}" if is_pointer else "leave the type out",
        )
    if value.type == scalar:
        return value
    if not _holds_bits(value) or value.type.size < scalar.size:
        raise _no_float(capture, operand, scalar)
    return View(value, scalar)


def _holds_bits(value: Value) -> bool:
    """Whether the bits may be those of a float, as a compiler moves them.

    Arguments and return values that are floats are in vector registers, those of markers also in
    plain ones.
    """
    if isinstance(value, (Kept, View)):
        return _holds_bits(value.value)
    return isinstance(value, (Load, RegisterValue, ByPlace))


def _no_float(capture: Capture, operand: Operand, scalar: Scalar) -> SpecError:
    text = capture.value.span.text
    is_number = isinstance(operand, NumberOperand) and operand.value.type.size >= scalar.size
    why = "floats are handed over in vector registers, which no BPF program can read"
    return spec_error(
        "FLOAT_ARGUMENT",
        f"{text} cannot be {scalar}: {why if is_number else 'it has fewer bytes'}",
        capture.value.span,
        f"if it is the address of one, write +0({text}):{scalar}",
    )
