"""What an expression stands for while it is being resolved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import SpecError, spec_error
from bpfprobe.model.ktype import KArray, KFloat, KInt, KOther, KPointer, KStruct, KType
from bpfprobe.model.noun import dataclass, replace
from bpfprobe.model.scalar import BOOL, CHAR, F32, F64, X64, Scalar
from bpfprobe.model.value import (
    ArgumentVector,
    BinaryOperation,
    Constant,
    Load,
    Space,
    SymbolAddress,
    TextAt,
    TextValue,
    Value,
    View,
)

if TYPE_CHECKING:
    from bpfprobe.model.span import Span
    from bpfprobe.model.stack import StackValue


@dataclass(frozen=True, slots=True)
class NumberOperand:
    """A number that is at hand. ``points_into`` is the memory it points into, if it points.

    ``is_argument`` where it was handed over with no type said, and so may well point.
    """

    value: Value
    ktype: KType | None = None
    points_into: Space = Space.KERNEL
    is_argument: bool = False


@dataclass(frozen=True, slots=True)
class MemoryOperand:
    """Something in memory at ``base + offset``, of a known type or none.

    ``struct`` and ``member`` name it in the kernel's words.
    """

    base: Value
    offset: int
    space: Space
    ktype: KType | None = None
    struct: str = ""
    member: str = ""
    bit_offset: int = 0
    bit_size: int = 0


@dataclass(frozen=True, slots=True)
class TextOperand:
    """Text that needs no pointer from the user: ``comm``, ``func``, a field of a tracepoint."""

    text: TextValue


@dataclass(frozen=True, slots=True)
class ArgvOperand:
    """The ``argv`` builtin."""

    vector: ArgumentVector


@dataclass(frozen=True, slots=True)
class StackOperand:
    """The ``kstack`` and ``ustack`` builtins."""

    stack: StackValue


@dataclass(frozen=True, slots=True)
class ByValueOperand:
    """A struct that was handed over or returned by its bytes, or a part of one.

    ``eights`` are its bytes, eight by eight, None for those that are in a register of floats. The
    part is of type ``ktype`` and begins at ``offset``. ``sole`` is the number that is all there is
    in a struct of one member. ``where`` names the registers, for messages.
    """

    eights: tuple[Value | None, ...]
    ktype: KType
    space: Space
    where: str
    offset: int = 0
    bit_offset: int = 0
    bit_size: int = 0
    sole: KType | None = None


Operand = NumberOperand | MemoryOperand | ByValueOperand | TextOperand | ArgvOperand | StackOperand


def scalar_of(ktype: KType | None) -> Scalar | None:
    """How a value of this type is read, None for what is not a number."""
    if ktype is None:
        return X64
    if isinstance(ktype, KPointer):
        return X64
    if isinstance(ktype, KInt) and ktype.size in (1, 2, 4, 8):
        if ktype.is_bool:
            return BOOL
        if ktype.is_char and ktype.size == 1:
            return CHAR
        return Scalar(ktype.size, ktype.signed)
    return None


def element_of_type(ktype: KType | None) -> Scalar | None:
    """How a value of this type is read where a float will do as well."""
    if isinstance(ktype, KFloat):
        return F32 if ktype.size == 4 else F64
    return scalar_of(ktype)


def number_of(operand: Operand) -> Value | None:
    """The operand as a number, read from memory if that is where it is; None if it is none."""
    if isinstance(ktype_of(operand), KFloat):
        return None  # its bits are a number to no one
    return value_of(operand)


def value_of(operand: Operand) -> Value | None:
    """The operand as a number or a float; None if it is neither."""
    if isinstance(operand, NumberOperand):
        return operand.value
    if isinstance(operand, MemoryOperand):
        scalar = element_of_type(operand.ktype)
        if scalar is None:
            return None
        while operand.bit_offset + operand.bit_size > 8 * scalar.size:
            scalar = replace(scalar, size=2 * scalar.size)  # a bit field that is in two units
        return Load(
            operand.base,
            operand.offset,
            scalar,
            operand.space,
            operand.struct,
            operand.member,
            operand.bit_offset,
            operand.bit_size,
        )
    if isinstance(operand, ByValueOperand):
        return _value_in(operand)
    return None


def _value_in(operand: ByValueOperand) -> Value | None:
    """The number that a part of a struct is, out of the registers that have it."""
    scalar = element_of_type(operand.sole or operand.ktype)
    if scalar is None:
        return None
    width = operand.bit_size or 8 * scalar.size
    at, shift = divmod(8 * operand.offset + operand.bit_offset, 64)
    value = operand.eights[at]
    if value is None:
        return None
    if shift:
        value = BinaryOperation(">>", value, Constant(shift), X64)
    if shift + width > 64:
        above = operand.eights[at + 1]
        if above is None:
            return None
        rest = BinaryOperation("<<", above, Constant(64 - shift), X64)
        value = BinaryOperation("|", value, rest, X64)
    if operand.bit_size:
        # To the top and down again, with its sign or without.
        number = Scalar(8, scalar.signed)
        top = BinaryOperation("<<", value, Constant(64 - width), number)
        value = BinaryOperation(">>", top, Constant(64 - width), number)
        return value if scalar.size == 8 else View(value, scalar)
    return value if scalar in (value.type, X64) else View(value, scalar)


def text_of(operand: Operand, space: Space | None = None) -> TextValue | None:
    """The operand as a string, None if it is none. ``space`` overrides where its bytes are."""
    if isinstance(operand, TextOperand):
        return operand.text
    if isinstance(operand, NumberOperand):
        if not isinstance(operand.ktype, KPointer) or not is_character(operand.ktype.target):
            return None
        return TextAt(operand.value, space or operand.points_into)
    if isinstance(operand, MemoryOperand):
        if isinstance(operand.ktype, KArray) and is_character(operand.ktype.element):
            return TextAt(address_of(operand), space or operand.space, operand.ktype.count)
        if isinstance(operand.ktype, KPointer) and is_character(operand.ktype.target):
            pointer = number_of(operand)
            assert pointer is not None
            return TextAt(pointer, space or text_space(operand.space, operand.ktype))
        if operand.ktype is None:
            return TextAt(address_of(operand), space or _text_memory(operand))
    if isinstance(operand, ByValueOperand):
        pointer = _value_in(operand)
        ktype = operand.sole or operand.ktype
        if pointer is not None and isinstance(ktype, KPointer) and is_character(ktype.target):
            return TextAt(pointer, space or text_space(operand.space, ktype))
    return None


def _text_memory(operand: MemoryOperand) -> Space:
    """Where a string at an address is, if no one said: the kernel tells by the address."""
    is_symbol = isinstance(operand.base, SymbolAddress) and operand.base.symbol
    return Space.ANY if operand.space is Space.KERNEL and not is_symbol else operand.space


def text_space(found_in: Space, pointer: KPointer) -> Space:
    """Where a string is whose pointer was found in ``found_in``."""
    if pointer.user or found_in is Space.USER:
        return Space.USER
    return Space.ANY


def pointer_space(found_in: Space, pointer: KPointer) -> Space:
    """What a pointer that was found in ``found_in`` points into."""
    return Space.USER if pointer.user or found_in is Space.USER else Space.KERNEL


def leads_into(operand: Operand, space: Space) -> Space:
    """Which memory a number is an address in, at a place in ``space``."""
    ktype = ktype_of(operand)
    if space is Space.USER or (isinstance(ktype, KPointer) and ktype.user):
        return Space.USER
    if isinstance(operand, NumberOperand):
        return operand.points_into
    found_in = operand.space if isinstance(operand, (MemoryOperand, ByValueOperand)) else space
    return Space.USER if found_in is Space.USER else space


def address_of(operand: MemoryOperand) -> Value:
    """The address of what is in memory, as a number."""
    if operand.offset == 0:
        return operand.base
    return BinaryOperation("+", operand.base, Constant(operand.offset), X64)


def is_character(ktype: KType) -> bool:
    """Whether a string may be made of this type: one byte, or void of which nothing is known."""
    if isinstance(ktype, KInt):
        return ktype.size == 1 and not ktype.is_bool
    return isinstance(ktype, KOther) and ktype.spelling.removeprefix("const ") == "void"


def is_text(ktype: KType) -> bool:
    """Whether a pointer to it is text unless another type is asked for.

    The small numbers that are characters to C (``u8``, ``int8_t``) are not.
    """
    if not isinstance(ktype, KInt) or not is_character(ktype):
        return False
    return ktype.is_char or "char" in ktype.spelling


def describe(operand: Operand) -> str:
    """The operand's type in words, for a message."""
    if isinstance(operand, TextOperand):
        return "a string"
    if isinstance(operand, ArgvOperand):
        return "a list of strings"
    if isinstance(operand, StackOperand):
        return "a stack"
    ktype = operand.ktype
    if ktype is None:
        return "a number" if isinstance(operand, NumberOperand) else "memory of unknown type"
    if isinstance(ktype, KOther) and ktype.is_unknown:
        return f"of a kind of type that is newer than this bpfprobe ({ktype.spelling})"
    return f"{_ARTICLES[type(ktype)]} ({ktype.spelling})"


_ARTICLES: dict[type, str] = {
    KInt: "an integer",
    KFloat: "a float",
    KPointer: "a pointer",
    KStruct: "a struct",
    KArray: "an array",
    KOther: "something without a value",
}


def ktype_of(operand: Operand) -> KType | None:
    """The operand's type as BTF has it, None where there is none."""
    if isinstance(operand, (NumberOperand, MemoryOperand, ByValueOperand)):
        return operand.ktype
    return None


def not_a_number(operand: Operand, span: Span) -> SpecError:
    """The error for what cannot be used as a number."""
    hint = None
    if isinstance(operand, ByValueOperand):
        return _not_taken_whole(operand, span)
    if isinstance(operand, MemoryOperand) and isinstance(operand.ktype, KStruct):
        hint = "name one of its members with a dot"
    elif isinstance(operand, MemoryOperand) and isinstance(operand.ktype, KArray):
        hint = "name one of its elements: [0]"
    elif isinstance(operand, MemoryOperand) and isinstance(operand.ktype, KOther):
        hint = f"take its bytes: {span.text}:bytes[{operand.ktype.size or 'LENGTH'}]"
    elif isinstance(ktype_of(operand), KFloat):
        hint = "programs in the kernel know no floats: take it as a capture, compare it in Python"
    elif isinstance(operand, TextOperand):
        hint = "compare it with == != or ~ and a string in double quotes"
    elif isinstance(operand, (ArgvOperand, StackOperand)):
        hint = "take it as a capture and look at it in the program"
    return spec_error("BAD_TYPE", f"{span.text} is {describe(operand)}, not a number", span, hint)


def _not_taken_whole(operand: ByValueOperand, span: Span) -> SpecError:
    """The error for a struct in registers, or a part of one that is not one number."""
    at = operand.offset // 8
    if element_of_type(operand.ktype) is not None and None in operand.eights[at : at + 2]:
        return spec_error(
            "FLOAT_ARGUMENT",
            f"{span.text} is {describe(operand)} in a vector register, which no BPF program can "
            "read",
            span,
            "probe a place where it is in memory: +OFFSET(ADDRESS):f64",
        )
    if isinstance(operand.ktype, KArray):
        what, hint = "", f"take its elements one by one: {span.text}[0]"
    else:
        what, hint = "", f"take its members: {span.text}.NAME"
    if isinstance(operand.ktype, KInt):
        what, hint = ", and a number has eight at most", "take the registers as they are"
    return spec_error(
        "BAD_TYPE",
        f"{span.text} is {describe(operand)} by value, {operand.ktype.size} bytes "
        f"{operand.where}{what}",
        span,
        hint,
    )
