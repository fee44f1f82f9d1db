"""Capture -> what is taken: the expression's value seen as the type that was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import SpecError, spec_error
from bpfprobe.model.ktype import KArray, KPointer, KStruct, KType
from bpfprobe.model.scalar import scalar_named
from bpfprobe.model.value import (
    Argument,
    ArrayValue,
    Load,
    ReturnValue,
    Space,
    SyscallArgument,
    TextAt,
    Value,
    View,
)
from bpfprobe.resolve.expressions import resolve_operand
from bpfprobe.resolve.operand import (
    ArgvOperand,
    MemoryOperand,
    NumberOperand,
    StackOperand,
    TextOperand,
    address_of,
    describe,
    is_character,
    not_a_number,
    number_of,
    scalar_of,
    text_of,
)

if TYPE_CHECKING:
    from bpfprobe.model.spec import Capture, TypeName
    from bpfprobe.model.value import Capturable
    from bpfprobe.resolve.operand import Operand
    from bpfprobe.resolve.scope import Scope

STRING_TYPES = {"string": None, "ustring": Space.USER}
_TYPES_HINT = "types are u8..u64 s8..s64 x8..x64 char bool string ustring, and [N] after one"
MAX_ARRAY = 64


def resolve_capture(capture: Capture, scope: Scope) -> tuple[Capturable, Operand]:
    """What the capture takes, and the operand it goes by in a filter. Raises `SpecError`."""
    operand = resolve_operand(capture.value, scope)
    if capture.type is None:
        return _natural(capture, operand), operand
    if capture.type.base in STRING_TYPES:
        text = _text(capture, operand, STRING_TYPES[capture.type.base])
        return text, text_operand(text, operand)
    scalar = scalar_named(capture.type.base)
    if scalar is None:
        raise spec_error(
            "BAD_TYPE", f"{capture.type.base} is no type", capture.type.span, _TYPES_HINT
        )
    if capture.type.count:
        return _array(capture, operand, capture.type), operand
    if isinstance(operand, MemoryOperand) and operand.ktype is None:
        load = Load(operand.base, operand.offset, scalar, operand.space)
        return load, NumberOperand(load)
    value = number_of(operand)
    if value is None:
        raise _unfit(capture, operand)
    view = value if value.type == scalar else View(value, scalar)
    ktype = operand.ktype if isinstance(operand, (NumberOperand, MemoryOperand)) else None
    if scalar.size == 8 and isinstance(ktype, KPointer):
        return view, operand
    return view, NumberOperand(view)


def text_operand(text: Capturable, operand: Operand) -> Operand:
    """How a capture that was typed as a string is seen by a filter."""
    return TextOperand(text) if isinstance(text, TextAt) else operand


def _natural(capture: Capture, operand: Operand) -> Capturable:
    """What is taken where no type was given."""
    if isinstance(operand, ArgvOperand):
        return operand.vector
    if isinstance(operand, StackOperand):
        return operand.stack
    if isinstance(operand, TextOperand):
        return operand.text
    ktype = operand.ktype
    if isinstance(ktype, KArray) and isinstance(operand, MemoryOperand):
        if is_character(ktype.element) and "char" in ktype.element.spelling:
            return TextAt(address_of(operand), operand.space, ktype.count)
        element = scalar_of(ktype.element)
        if element is not None and 0 < ktype.count <= MAX_ARRAY:
            return ArrayValue(address_of(operand), element, ktype.count, operand.space)
    if isinstance(ktype, KPointer) and is_character(ktype.target) and "char" in ktype.spelling:
        text = text_of(operand)
        assert text is not None
        return text
    value = number_of(operand)
    if value is None:
        raise _unfit(capture, operand)
    return value


def _text(capture: Capture, operand: Operand, space: Space | None) -> Capturable:
    assert capture.type is not None
    if capture.type.count:
        raise spec_error(
            "BAD_TYPE",
            "an array of strings cannot be taken",
            capture.type.span,
            "take them one by one: +0(+0(ARRAY)):string, +0(+8(ARRAY)):string",
        )
    text = text_of(operand, space)
    if text is not None:
        return text
    if isinstance(operand, NumberOperand) and operand.ktype is None:
        if not operand.is_argument and _is_plain_number(operand.value):
            raise spec_error(
                "BAD_STRING",
                f"{capture.value.span.text} is {describe(operand)}, and a string is memory",
                capture.type.span,
                f"if it points to one, write +0({capture.value.span.text}):{capture.type.base}",
            )
        return TextAt(operand.value, space or _any(operand.points_into))
    ktype = operand.ktype if isinstance(operand, (NumberOperand, MemoryOperand)) else None
    raise spec_error(
        "BAD_TYPE4STR",
        f"{capture.value.span.text} is {describe(operand)}, which is no string",
        capture.type.span,
        _no_string_hint(capture, ktype),
    )


def _no_string_hint(capture: Capture, ktype: KType | None) -> str:
    if isinstance(ktype, KStruct):
        return "name one of its members"
    if isinstance(ktype, KPointer) and isinstance(ktype.target, KStruct):
        return f"name one of the members of {ktype.target.spelling}, with ->"
    assert capture.type is not None
    return (
        "leave the type out to take the number that it is; if it holds the address of a string, "
        f"write +0({capture.value.span.text}):{capture.type.base}"
    )


def _any(space: Space) -> Space:
    return Space.ANY if space is Space.KERNEL else space


def _is_plain_number(value: Value) -> bool:
    return not isinstance(value, (Argument, ReturnValue, SyscallArgument))


def _array(capture: Capture, operand: Operand, type_name: TypeName) -> ArrayValue:
    element = scalar_named(type_name.base)
    assert element is not None
    if isinstance(operand, MemoryOperand) and (
        operand.ktype is None or isinstance(operand.ktype, (KArray, KStruct))
    ):
        return ArrayValue(address_of(operand), element, type_name.count, operand.space)
    raise spec_error(
        "BAD_STRING",
        f"{capture.value.span.text} is {describe(operand)}, and an array is memory",
        type_name.span,
        f"if it points to one, write +0({capture.value.span.text}):{type_name.span.text}",
    )


def _unfit(capture: Capture, operand: Operand) -> SpecError:
    ktype = operand.ktype if isinstance(operand, (NumberOperand, MemoryOperand)) else None
    if isinstance(ktype, KArray):
        return spec_error(
            "BAD_TYPE",
            f"{capture.value.span.text} is {describe(operand)}",
            capture.value.span,
            f"say how much to take, :x8[16] (at most {MAX_ARRAY} elements), or an element [0]",
        )
    return not_a_number(operand, capture.value.span)
