"""``bytes[LENGTH]``: memory as it is, of a length that each hit has its own of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import spec_error
from bpfprobe.model.ktype import KArray, KOther, KPointer, KStruct
from bpfprobe.model.value import BytesAt, Space, Value
from bpfprobe.resolve.expressions import resolve_number
from bpfprobe.resolve.operand import (
    ByValueOperand,
    MemoryOperand,
    NumberOperand,
    Operand,
    address_of,
    describe,
    number_of,
)

if TYPE_CHECKING:
    from bpfprobe.model.spec import Capture, TypeName
    from bpfprobe.resolve.scope import Scope


def bytes_at(capture: Capture, type_name: TypeName, operand: Operand, scope: Scope) -> BytesAt:
    """The bytes that a pointer leads to, or that stand in memory. Raises `SpecError`."""
    if type_name.length is None:
        raise spec_error(
            "BAD_TYPE",
            "bytes have a length",
            type_name.span,
            "bytes[$arg3], bytes[retval], bytes[64]: a value in brackets",
        )
    place = _place(operand)
    if place is None:
        text = capture.value.span.text
        raise spec_error(
            "BAD_TYPE",
            f"{text} is {describe(operand)}, and bytes are memory",
            capture.value.span,
            f"a pointer, or memory: +0(...):{type_name.span.text}",
        )
    pointer, space = place
    return BytesAt(pointer, resolve_number(type_name.length, scope), space)


def _place(operand: Operand) -> tuple[Value, Space] | None:
    """Where the bytes begin, and in which memory; None for what is not a place."""
    if isinstance(operand, NumberOperand):
        into = operand.points_into
        return operand.value, Space.ANY if into is Space.KERNEL else into
    if isinstance(operand, ByValueOperand) and isinstance(operand.ktype, KPointer):
        pointer = number_of(operand)
        return (pointer, operand.space) if pointer is not None else None
    if not isinstance(operand, MemoryOperand):
        return None
    if operand.ktype is None or isinstance(operand.ktype, (KArray, KOther, KStruct)):
        return address_of(operand), operand.space
    pointer = number_of(operand)  # a member that is a pointer
    if pointer is None or pointer.type.size != 8:
        return None
    return pointer, Space.ANY if operand.space is Space.KERNEL else operand.space
