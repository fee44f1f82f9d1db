"""Capture -> what is taken: the expression's value seen as the type that was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeGuard

from bpfprobe.errors import SpecError, spec_error
from bpfprobe.model import expression as ast
from bpfprobe.model.ktype import KArray, KFloat, KPointer, KStruct, KType
from bpfprobe.model.scalar import Scalar, Style
from bpfprobe.model.type_names import NAME_TYPES, bit_field, check_type_name
from bpfprobe.model.value import (
    Argument,
    ArrayValue,
    BinaryOperation,
    Constant,
    Load,
    ReturnValue,
    Space,
    SyscallArgument,
    TextAt,
    Value,
    View,
)
from bpfprobe.resolve.bytes_at import bytes_at
from bpfprobe.resolve.expressions import resolve_operand
from bpfprobe.resolve.floats import float_value
from bpfprobe.resolve.operand import (
    ArgvOperand,
    ByValueOperand,
    MemoryOperand,
    NumberOperand,
    StackOperand,
    TextOperand,
    address_of,
    describe,
    element_of_type,
    is_text,
    not_a_number,
    number_of,
    text_of,
    value_of,
)
from bpfprobe.resolve.typed import (
    TEXT_TYPES,
    array,
    check_symstr,
    name_of_file,
    scalar_of_type,
    text_array,
)

if TYPE_CHECKING:
    from bpfprobe.model.spec import Capture, TypeName
    from bpfprobe.model.value import Capturable
    from bpfprobe.resolve.operand import Operand
    from bpfprobe.resolve.scope import Scope

MAX_ARRAY = 64


def resolve_capture(capture: Capture, scope: Scope) -> tuple[Capturable, Operand]:
    """What the capture takes, and the operand it goes by in a filter. Raises `SpecError`."""
    if capture.type is not None:
        if _is_constant_text(capture.value):
            _check_constant_text(capture, capture.type)
        check_type_name(capture.type)
    operand = resolve_operand(capture.value, scope)
    if isinstance(operand, ByValueOperand) and value_of(operand) is None:
        raise not_a_number(operand, capture.value.span)
    if capture.type is None:
        return _natural(capture, operand, scope), operand
    if isinstance(operand, TextOperand) and not isinstance(operand.text, TextAt):
        _check_constant_text(capture, capture.type)
    if capture.type.base == "bytes":
        return bytes_at(capture, capture.type, operand, scope), operand
    if capture.type.base in TEXT_TYPES:
        space = TEXT_TYPES[capture.type.base]
        if capture.type.count:
            return text_array(capture, capture.type, operand, space), operand
        text = _text(capture, operand, space)
        return text, text_operand(text, operand)
    if capture.type.base in NAME_TYPES:
        name = name_of_file(capture, capture.type, operand, scope)
        return name, TextOperand(name)
    scalar = scalar_of_type(capture, capture.type, scope)
    if capture.type.count:
        return array(capture, capture.type, operand, scalar), operand
    if scalar.style is Style.FLOAT:
        number = float_value(capture, capture.type, operand, scalar)
        return number, NumberOperand(number, KFloat(str(scalar), scalar.size))
    if scalar.style is Style.SYMBOL_TEXT:
        check_symstr(capture, capture.type, operand)
    value = _number(capture, capture.type, operand, scalar)
    ktype = operand.ktype if isinstance(operand, (NumberOperand, MemoryOperand)) else None
    if scalar.size == 8 and isinstance(ktype, KPointer) and not bit_field(capture.type):
        return value, operand
    return value, NumberOperand(value)


def _number(capture: Capture, type_name: TypeName, operand: Operand, scalar: Scalar) -> Value:
    """The operand as a number of the type, or as bits of one."""
    bits = bit_field(type_name)
    bit_offset, bit_size = bits[1:] if bits else (0, 0)
    if isinstance(operand, MemoryOperand) and operand.ktype is None:
        place = (operand.base, operand.offset, scalar, operand.space)
        return Load(*place, bit_offset=bit_offset, bit_size=bit_size)
    value = number_of(operand)
    if value is None:
        raise _unfit(capture, operand)
    if not bit_size:
        return value if value.type == scalar else View(value, scalar)
    unit = View(value, scalar)
    shifted = BinaryOperation(">>", unit, Constant(bit_offset), scalar) if bit_offset else unit
    if bit_offset + bit_size == 8 * scalar.size:
        return shifted
    return BinaryOperation("&", shifted, Constant((1 << bit_size) - 1), scalar)


def _is_constant_text(value: ast.Expression) -> bool:
    """Whether it can be seen to be a string before any type is looked at, as the kernel does."""
    return isinstance(value, ast.Text) or (
        isinstance(value, ast.Variable) and value.name in ("comm", "COMM")
    )


def _check_constant_text(capture: Capture, type_name: TypeName) -> None:
    """The thread's name and a text are strings already, and nothing else."""
    if type_name.base != "string" or type_name.count:
        raise spec_error(
            "NEED_STRING_TYPE",
            f"{capture.value.span.text} is a string",
            type_name.span,
            "leave the type out, or write :string",
        )


def text_operand(text: Capturable, operand: Operand) -> Operand:
    """How a capture that was typed as a string is seen by a filter."""
    return TextOperand(text) if isinstance(text, TextAt) else operand


def _natural(capture: Capture, operand: Operand, scope: Scope) -> Capturable:
    """What is taken where no type was given."""
    if isinstance(operand, ArgvOperand):
        return operand.vector
    if isinstance(operand, StackOperand):
        return operand.stack
    if isinstance(operand, TextOperand):
        return operand.text
    if _is_number_of_program(operand, capture, scope):
        return operand.value
    ktype = operand.ktype
    if isinstance(ktype, KArray) and isinstance(operand, MemoryOperand):
        if is_text(ktype.element):
            return TextAt(address_of(operand), operand.space, ktype.count)
        element = element_of_type(ktype.element)
        if element is not None and 0 < ktype.count <= MAX_ARRAY:
            return ArrayValue(address_of(operand), element, ktype.count, operand.space)
    if isinstance(ktype, KPointer) and is_text(ktype.target):
        text = text_of(operand)
        assert text is not None
        return text
    value = value_of(operand)
    if value is None:
        raise _unfit(capture, operand)
    return value


def _is_number_of_program(
    operand: Operand, capture: Capture, scope: Scope
) -> TypeGuard[NumberOperand]:
    """Whether it is what a program's function returned, or an argument of it by number.

    A pointer is one with debug information as with none, and text where that is asked for.
    """
    if not isinstance(operand, NumberOperand) or operand.points_into is not Space.USER:
        return False
    if isinstance(operand.value, ReturnValue):
        return True
    return scope.debug_arguments is not None and isinstance(capture.value, ast.Variable)


def _text(capture: Capture, operand: Operand, space: Space | None) -> Capturable:
    assert capture.type is not None
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
        f"{capture.value.span.text} is {describe(operand)}, which is not a string",
        capture.value.span,
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
    return not isinstance(value, (Argument, ReturnValue, SyscallArgument, Constant))


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
