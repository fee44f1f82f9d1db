"""How memory is reached from an operand: members, elements, what a pointer points to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import SpecError, TargetError, spec_error
from bpfprobe.model.ktype import KArray, KPointer, KStruct, KType
from bpfprobe.model.noun import replace
from bpfprobe.model.value import Space, Value
from bpfprobe.resolve.leaves import sole_leaf
from bpfprobe.resolve.members import all_members, find_member, similar_members
from bpfprobe.resolve.operand import (
    ByValueOperand,
    MemoryOperand,
    NumberOperand,
    Operand,
    describe,
    ktype_of,
    number_of,
    pointer_space,
)

if TYPE_CHECKING:
    from bpfprobe.model import expression as ast
    from bpfprobe.model.ktype import Member
    from bpfprobe.resolve.scope import Scope

_SHOWN_MEMBERS = 12
_MOST_BITS = 64


def followed(inner: Operand) -> Operand:
    """What an operand means: of a reference of C++ that is what it leads to."""
    ktype, base = ktype_of(inner), number_of(inner)
    if not isinstance(ktype, KPointer) or not ktype.is_reference or base is None:
        return inner
    return _pointed(inner, ktype, base, 0)


def member_of(inner: Operand, expression: ast.MemberOf, scope: Scope) -> Operand:
    """``inner->name`` or ``inner.name``."""
    if isinstance(inner, ByValueOperand) and isinstance(inner.ktype, KStruct):
        return _member_by_value(inner, inner.ktype, expression, scope)
    base, offset, space, struct, prefix, outer = _struct_of(inner, expression, scope)
    member = _member(struct, expression, scope)
    path = f"{prefix}.{expression.name}" if prefix else expression.name
    if struct.in_program:  # no relocation, and what a file calls things stays out of C
        outer, path = "", ""
    return MemoryOperand(
        base,
        offset + member.offset,
        space,
        member.type,
        outer,
        path,
        member.bit_offset,
        member.bit_size,
    )


def _member_by_value(
    inner: ByValueOperand, struct: KStruct, expression: ast.MemberOf, scope: Scope
) -> Operand:
    """A member of a struct whose bytes are at hand."""
    if expression.arrow:
        raise _not_a_pointer(inner, expression)
    member = _member(struct, expression, scope)
    sole = None
    if isinstance(member.type, KStruct):
        leaf = sole_leaf(member.type, scope.target.members)
        sole = leaf.type if leaf else None
    return replace(
        inner,
        ktype=member.type,
        offset=inner.offset + member.offset,
        bit_offset=member.bit_offset,
        bit_size=member.bit_size,
        sole=sole,
    )


def _member(struct: KStruct, expression: ast.MemberOf, scope: Scope) -> Member:
    """The member that is asked for. Raises `SpecError` where there is none that can be read."""
    try:
        member = find_member(scope.target, struct, expression.name)
    except TargetError as error:
        raise spec_error(error.code, error.message, expression.name_span, error.hint) from error
    if member is None:
        near = similar_members(scope.target, struct, expression.name)
        raise spec_error(
            "NO_BTF_FIELD",
            f"{struct.spelling} has no member {expression.name}",
            expression.name_span,
            f"did you mean {' or '.join(near)}?" if near else _members_hint(struct, scope),
        )
    if member.bit_offset + member.bit_size > _MOST_BITS:
        raise spec_error(
            "BAD_TYPE",
            f"{expression.name} is {member.bit_size} bits in nine bytes; eight are read at once",
            expression.name_span,
            "take the bytes: +OFFSET(ADDRESS):x8[9]",
        )
    return member


def _members_hint(struct: KStruct, scope: Scope) -> str:
    names = [member.name for member in all_members(scope.target, struct)]
    more = f" and {len(names) - _SHOWN_MEMBERS} more" if len(names) > _SHOWN_MEMBERS else ""
    return f"it has {', '.join(names[:_SHOWN_MEMBERS])}{more}" if names else "it has no members"


def _struct_of(
    inner: Operand, expression: ast.MemberOf, scope: Scope
) -> tuple[Value, int, Space, KStruct, str, str]:
    """Where the struct is whose member is wanted: base, offset, space, type, path so far, name."""
    ktype = ktype_of(inner)
    span = expression.base.span
    if isinstance(ktype, KStruct) and isinstance(inner, MemoryOperand):
        if expression.arrow:
            raise _not_a_pointer(inner, expression)
        return inner.base, inner.offset, inner.space, ktype, inner.member, inner.struct
    if isinstance(ktype, KPointer) and isinstance(ktype.target, KStruct):
        if not expression.arrow:
            # To the kernel $current.NAME is all one variable.
            current = span.text == "$current"
            raise spec_error(
                "BAD_VAR" if current else "NOSUP_DAT_ARG",
                f"{span.text} is {describe(inner)}",
                span if current else expression.name_span,
                f"write {span.text}->{expression.name}",
            )
        value = number_of(inner)
        assert value is not None
        if isinstance(inner, (MemoryOperand, ByValueOperand)):
            space = pointer_space(inner.space, ktype)
        else:
            assert isinstance(inner, NumberOperand)
            space = Space.USER if ktype.user else inner.points_into
        struct = ktype.target
        return value, 0, _definite(space), struct, "", struct.name or f"type_{struct.type_id}"
    if ktype is None and isinstance(inner, NumberOperand) and scope.space is Space.USER:
        hint = (
            f"what it points to is not known; its memory is +OFFSET({span.text}):TYPE, and "
            "arguments by name and $retval have their types where the program is built with -g"
        )
    elif ktype is None and isinstance(inner, NumberOperand):
        hint = f"say what it points to: ((struct NAME *){span.text})->{expression.name}"
    else:
        hint = "only structs and pointers to them have members"
    raise spec_error(
        "NO_PTR_STRCT" if expression.arrow else "NOSUP_DAT_ARG",
        f"{span.text} is {describe(inner)} and has no members",
        expression.name_span,
        hint,
    )


def _not_a_pointer(inner: Operand, expression: ast.MemberOf) -> SpecError:
    text = expression.base.span.text
    return spec_error(
        "NO_PTR_STRCT",
        f"{text} is {describe(inner)}, not a pointer",
        expression.name_span,
        f"write {text}.{expression.name}",
    )


def _definite(space: Space) -> Space:
    return Space.KERNEL if space is Space.ANY else space


def element_of(inner: Operand, expression: ast.Element) -> Operand:
    """``inner[index]``."""
    ktype = ktype_of(inner)
    if isinstance(ktype, KArray) and isinstance(inner, (MemoryOperand, ByValueOperand)):
        is_by_value = isinstance(inner, ByValueOperand)
        if (ktype.count or is_by_value) and expression.index >= ktype.count:
            raise spec_error(
                "BAD_ARRAY_NUM",
                f"{expression.base.span.text} has {ktype.count} elements",
                expression.span,
                f"the last is [{ktype.count - 1}]",
            )
        step = _size(ktype.element, expression)
        if isinstance(inner, ByValueOperand):
            offset = inner.offset + expression.index * step
            return replace(inner, ktype=ktype.element, offset=offset)
        return MemoryOperand(
            inner.base,
            inner.offset + expression.index * step,
            inner.space,
            ktype.element,
            inner.struct,
            f"{inner.member}[{expression.index}]",
        )
    if isinstance(ktype, KPointer):
        base = number_of(inner)
        assert base is not None
        return _pointed(inner, ktype, base, expression.index * _size(ktype.target, expression))
    raise spec_error(
        "BAD_TYPE",
        f"{expression.base.span.text} is {describe(inner)}, not an array",
        expression.base.span,
        "memory behind an address is written +OFFSET(ADDRESS)",
    )


def pointed_to(inner: Operand, expression: ast.Unary) -> Operand:
    """``*inner``."""
    ktype, base = ktype_of(inner), number_of(inner)
    if isinstance(ktype, KPointer) and base is not None:
        return _pointed(inner, ktype, base, 0)
    raise spec_error(
        "NO_PTR_STRCT",
        f"{expression.operand.span.text} is {describe(inner)}, not a pointer",
        expression.operand.span,
        "memory at a bare address is written +0(ADDRESS)",
    )


def _pointed(inner: Operand, ktype: KPointer, base: Value, offset: int) -> MemoryOperand:
    found_in = inner.space if isinstance(inner, (MemoryOperand, ByValueOperand)) else None
    if found_in is None and isinstance(inner, NumberOperand):
        found_in = inner.points_into
    space = _definite(pointer_space(found_in or Space.KERNEL, ktype))
    target = ktype.target
    name = target.name if isinstance(target, KStruct) and not target.in_program else ""
    return MemoryOperand(base, offset, space, target, name)


def _size(ktype: KType, expression: ast.Element) -> int:
    if ktype.size == 0:
        raise spec_error(
            "BAD_TYPE",
            f"the size of {ktype.spelling} is not known",
            expression.base.span,
            "cast to a pointer to something whose size is",
        )
    return ktype.size
