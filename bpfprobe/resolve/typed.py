"""The types of the kernel that are more than a number or a string."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import SpecError, spec_error
from bpfprobe.model.expression import Variable
from bpfprobe.model.ktype import KArray, KPointer, KStruct
from bpfprobe.model.scalar import SYMBOL, SYMSTR, X64, Scalar, float_named, scalar_named
from bpfprobe.model.type_names import bit_field
from bpfprobe.model.value import (
    ArrayValue,
    Constant,
    Load,
    Space,
    TextArray,
    TextAt,
    Value,
)
from bpfprobe.resolve.members import find_member
from bpfprobe.resolve.operand import (
    MemoryOperand,
    NumberOperand,
    Operand,
    address_of,
    describe,
    ktype_of,
    not_a_number,
    number_of,
)

if TYPE_CHECKING:
    from bpfprobe.model.ktype import Member
    from bpfprobe.model.spec import Capture, TypeName
    from bpfprobe.resolve.scope import Scope


TEXT_TYPES = {"string": None, "ustring": Space.USER}


def scalar_of_type(capture: Capture, type_name: TypeName, scope: Scope) -> Scalar:
    """The number that a type says. Raises `SpecError` for a symbol outside of the kernel."""
    if type_name.base in ("symbol", "symstr"):
        if scope.space is Space.USER:
            raise spec_error(
                "BAD_TYPE",
                "only the kernel's own addresses have symbols here",
                type_name.span,
                f"take the address: {capture.value.span.text}:x64",
            )
        return SYMBOL if type_name.base == "symbol" else SYMSTR
    bits = bit_field(type_name)
    scalar = scalar_named(bits[0]) if bits else _plain_scalar(type_name.base)
    assert scalar is not None  # check_type_name() lets no other name pass
    return scalar


def _plain_scalar(name: str) -> Scalar | None:
    return scalar_named(name) or float_named(name)


def array(capture: Capture, type_name: TypeName, operand: Operand, element: Scalar) -> ArrayValue:
    """Numbers in memory, one after another."""
    if element == SYMSTR or not _is_plain_memory(operand):
        raise _no_array(capture, type_name, operand)
    assert isinstance(operand, MemoryOperand)
    bits = bit_field(type_name)
    place = (address_of(operand), element, type_name.count, operand.space)
    return ArrayValue(*place, bits[1], bits[2]) if bits else ArrayValue(*place)


def text_array(
    capture: Capture, type_name: TypeName, operand: Operand, space: Space | None
) -> TextArray:
    """Strings whose pointers stand in memory, one after another."""
    if not _is_plain_memory(operand):
        raise _no_array(capture, type_name, operand)
    assert isinstance(operand, MemoryOperand)
    pointed = Space.ANY if operand.space is Space.KERNEL else operand.space
    return TextArray(address_of(operand), type_name.count, operand.space, space or pointed)


def _is_plain_memory(operand: Operand) -> bool:
    return isinstance(operand, MemoryOperand) and (
        operand.ktype is None or isinstance(operand.ktype, (KArray, KStruct))
    )


def _no_array(capture: Capture, type_name: TypeName, operand: Operand) -> SpecError:
    text = capture.value.span.text
    if type_name.base == "symstr":
        message, hint = "symbols as text come one by one", "as addresses they can be many: symbol"
    else:
        message = f"{text} is {describe(operand)}, and an array is memory"
        hint = f"if it points to one, write +0({text}):{type_name.span.text}"
    return spec_error("BAD_STRING", message, type_name.span, hint)


def check_symstr(capture: Capture, type_name: TypeName, operand: Operand) -> None:
    """Raise where the kernel takes no symbol's name of a value."""
    in_user = isinstance(operand, MemoryOperand) and operand.space is Space.USER
    constant = isinstance(operand, NumberOperand) and isinstance(operand.value, Constant)
    stack = isinstance(capture.value, Variable) and capture.value.name == "stack"
    if in_user or constant or stack:
        raise spec_error(
            "BAD_SYMSTRING",
            f"{capture.value.span.text} is not an address of the kernel's code or data",
            type_name.span,
            f"take the number: {capture.value.span.text}:x64",
        )


def name_of_file(capture: Capture, type_name: TypeName, operand: Operand, scope: Scope) -> TextAt:
    """``%pd`` and ``%pD``: the last part of the path of a dentry, or of a file."""
    if scope.space is Space.USER:
        raise spec_error(
            "BAD_TYPE", "only the kernel has files and dentries", type_name.span, "a string, maybe?"
        )
    pointer = number_of(operand)
    ktype = ktype_of(operand)
    if pointer is None:
        raise not_a_number(operand, capture.value.span)
    wanted = "dentry" if type_name.base == "%pd" else "file"
    struct = ktype.target if isinstance(ktype, KPointer) else None
    if isinstance(struct, KStruct) and struct.name != wanted:
        raise spec_error(
            "BAD_TYPE",
            f"{capture.value.span.text} is {describe(operand)}, not a pointer to a {wanted}",
            type_name.span,
            "%pd is for a dentry, %pD for a file",
        )
    if wanted == "file":
        pointer = _load(pointer, "file", ("f_path", "dentry"), type_name, scope)
    return TextAt(_load(pointer, "dentry", ("d_name", "name"), type_name, scope), Space.KERNEL)


def _load(
    pointer: Value, struct: str, path: tuple[str, ...], type_name: TypeName, scope: Scope
) -> Value:
    """The pointer in a member of a struct, by the members that lead to it."""
    here, offset = scope.target.struct(struct), 0
    for name in path:
        member: Member | None = find_member(scope.target, here, name) if here else None
        if member is None:
            raise spec_error(
                "NOSUP_BTFARG",
                f"where struct {struct} has its {'.'.join(path)} is not known",
                type_name.span,
                "it takes a kernel with BTF (CONFIG_DEBUG_INFO_BTF)",
            )
        offset += member.offset
        here = member.type if isinstance(member.type, KStruct) else None
    return Load(pointer, offset, X64, Space.KERNEL, struct, ".".join(path))
