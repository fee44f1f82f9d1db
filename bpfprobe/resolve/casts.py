"""Casts: an operand looked at as another type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import SpecError, spec_error
from bpfprobe.model.ktype import KInt, KOther, KPointer, KStruct, KType
from bpfprobe.model.scalar import S64, U64, X64, Scalar, Style, scalar_named
from bpfprobe.model.value import BinaryOperation, Constant, Space, View
from bpfprobe.resolve.members import find_member
from bpfprobe.resolve.operand import (
    NumberOperand,
    Operand,
    leads_into,
    not_a_number,
    number_of,
)

if TYPE_CHECKING:
    from bpfprobe.model import expression as ast
    from bpfprobe.model.span import Span
    from bpfprobe.resolve.scope import Scope

_C_INTEGERS = {
    "char": Scalar(1, signed=True),
    "signed char": Scalar(1, signed=True),
    "unsigned char": Scalar(1, signed=False),
    "short": Scalar(2, signed=True),
    "unsigned short": Scalar(2, signed=False),
    "int": Scalar(4, signed=True),
    "unsigned": Scalar(4, signed=False),
    "unsigned int": Scalar(4, signed=False),
    "long": S64,
    "long long": S64,
    "unsigned long": U64,
    "unsigned long long": U64,
    "size_t": U64,
    "ssize_t": S64,
    "pid_t": Scalar(4, signed=True),
    "uid_t": Scalar(4, signed=False),
    "gid_t": Scalar(4, signed=False),
    "dev_t": Scalar(4, signed=False),
    "gfp_t": Scalar(4, signed=False),
    "umode_t": Scalar(2, signed=False),
    "loff_t": S64,
    "off_t": S64,
    "sector_t": U64,
    "bool": Scalar(1, signed=False, style=Style.BOOLEAN),
}


def cast(inner: Operand, expression: ast.Cast, scope: Scope) -> Operand:
    """``(TYPE)inner``."""
    value = number_of(inner)
    if value is None:
        raise not_a_number(inner, expression.operand.span)
    scalar = _C_INTEGERS.get(expression.type_name) or scalar_named(
        expression.type_name.removeprefix("__")
    )
    if expression.depth == 0:
        if scalar is None or expression.is_struct:
            raise _bad_cast(expression, scope)
        return NumberOperand(View(value, scalar), None, leads_into(inner, scope.space))
    if scalar is not None and not expression.is_struct:
        is_char = expression.type_name == "char"
        target: KType = KInt(expression.type_name, scalar.size, scalar.signed, is_char)
    elif expression.type_name == "void":
        target = KOther("void")
    else:
        struct = scope.target.struct(expression.type_name)
        if struct is None:
            raise _bad_cast(expression, scope)
        target = struct
    for _ in range(expression.depth):
        target = KPointer(f"{target.spelling} *".replace("* *", "**"), target)
    into = Space.USER if expression.user else leads_into(inner, scope.space)
    return NumberOperand(value, target, into)


def struct_view(inner: Operand, expression: ast.StructView, scope: Scope) -> Operand:
    """The kernel's ``(STRUCT)inner`` and ``(STRUCT,member)inner``: a pointer to the struct."""
    value = number_of(inner)
    if value is None:
        raise not_a_number(inner, expression.operand.span)
    struct = scope.target.struct(expression.struct)
    if struct is None:
        raise _no_type(expression.struct, expression.struct_span, scope, "NO_PTR_STRCT")
    offset, here = 0, struct
    for name in expression.members:
        member = find_member(scope.target, here, name)
        if member is None:
            raise spec_error(
                "NO_BTF_FIELD",
                f"{here.spelling} has no member {name}",
                expression.members_span,
                "the members are those of the kernel's BTF",
            )
        if member.bit_size:
            raise spec_error(
                "TYPECAST_NOT_ALIGNED",
                f"{name} is a bit field, and nothing points to one",
                expression.members_span,
                "name a member that has an address",
            )
        offset += member.offset
        if isinstance(member.type, KStruct):
            here = member.type
    if offset:
        value = BinaryOperation("-", value, Constant(offset), X64)
    into = leads_into(inner, scope.space)
    return NumberOperand(value, KPointer(f"{struct.spelling} *", struct), into)


def _bad_cast(expression: ast.Cast, scope: Scope) -> SpecError:
    name = expression.type_name
    if scope.target.struct(name) is not None:
        return spec_error(
            "BAD_TYPE",
            f"a value cannot become a struct {name}",
            expression.type_span,
            f"it can be a pointer to one: (struct {name} *)",
        )
    return _no_type(name, expression.type_span, scope)


def _no_type(name: str, span: Span, scope: Scope, code: str = "BAD_TYPE") -> SpecError:
    near = scope.target.similar_structs(name)
    if near:
        hint = f"did you mean {' or '.join(near[:3])}?"
    else:
        hint = "structs go by their names in the kernel's BTF, numbers are u8..u64 s8..s64 and C's"
        if scope.space is Space.USER:
            hint += "; a program's own structs come with the types of its arguments"
    return spec_error(code, f"there is no type {name} here", span, hint)
