"""Expression -> operand: every name found, every member placed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bpfprobe.errors import SpecError, spec_error
from bpfprobe.model import expression as ast
from bpfprobe.model.ktype import KArray, KInt, KOther, KPointer, KStruct, KType
from bpfprobe.model.scalar import S64, U64, X64, Scalar, Style, scalar_named
from bpfprobe.model.value import (
    BinaryOperation,
    Constant,
    ConstantText,
    Kept,
    Load,
    RegisterValue,
    Space,
    SymbolAddress,
    Truth,
    UnaryOperation,
    Value,
    View,
)
from bpfprobe.resolve.members import all_members, find_member, similar_members
from bpfprobe.resolve.operand import (
    ArgvOperand,
    MemoryOperand,
    NumberOperand,
    Operand,
    TextOperand,
    describe,
    number_of,
    pointer_space,
)

if TYPE_CHECKING:
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
    "bool": Scalar(1, signed=False, style=Style.BOOLEAN),
}
_COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">=", "~", "&&", "||"})
_SHOWN_MEMBERS = 12
_MAX_STACK_SLOT = 1023  # the kernel's: a stack of 8 KiB in slots of 8 bytes


def resolve_operand(expression: ast.Expression, scope: Scope) -> Operand:
    """What the expression stands for at this probe. Raises `SpecError`."""
    match expression:
        case ast.Number(value):
            return NumberOperand(Constant(value))
        case ast.Text(value):
            return TextOperand(ConstantText(value))
        case ast.Name(name, span):
            return scope.name(name, span)
        case ast.Variable(name, span):
            return _variable(name, span, scope)
        case ast.Register(name, span):
            return _register(name, span, scope)
        case ast.Global():
            return _global(expression, scope)
        case ast.Offset():
            return _offset(expression, scope)
        case ast.MemberOf():
            return _member(expression, scope)
        case ast.Element():
            return _element(expression, scope)
        case ast.Cast():
            return _cast(expression, scope)
        case ast.Call():
            return _call(expression, scope)
        case ast.Unary():
            return _unary(expression, scope)
        case ast.Binary():
            return _binary(expression, scope)


def resolve_number(expression: ast.Expression, scope: Scope) -> Value:
    """The expression as a number. Raises `SpecError` where it is none."""
    operand = resolve_operand(expression, scope)
    value = number_of(operand)
    if value is not None:
        return value
    raise not_a_number(operand, expression.span)


def not_a_number(operand: Operand, span: Span) -> SpecError:
    """The error for what cannot be used as a number."""
    hint = None
    if isinstance(operand, MemoryOperand) and isinstance(operand.ktype, KStruct):
        hint = "name one of its members with a dot"
    elif isinstance(operand, MemoryOperand) and isinstance(operand.ktype, KArray):
        hint = "name one of its elements: [0]"
    elif isinstance(operand, TextOperand):
        hint = "compare it with == != or ~ and a string in double quotes"
    elif isinstance(operand, ArgvOperand):
        hint = "take it as a capture and look at it in the program"
    return spec_error("BAD_TYPE", f"{span.text} is {describe(operand)}, not a number", span, hint)


def _variable(name: str, span: Span, scope: Scope) -> Operand:
    if name == "retval":
        return scope.return_value(span)
    if found := re.fullmatch(r"arg(\d+)", name):
        number = int(found[1])
        if not 1 <= number <= 128:
            raise spec_error(
                "BAD_ARG_NUM", "arguments are counted from 1 to 128", span, "$arg1 is the first"
            )
        return scope.argument(number, span)
    if found := re.fullmatch(r"stack(\d*)", name):
        return _stack(found[1], span, scope)
    if name in ("comm", "COMM"):
        return scope.builtin("comm", span)
    if name == "current":
        struct = scope.target.struct("task_struct")
        pointer = KPointer("struct task_struct *", struct) if struct else None
        from bpfprobe.model.value import Builtin, BuiltinValue

        return NumberOperand(BuiltinValue(Builtin.TASK), pointer)
    if name in ("pid", "tid", "uid", "gid", "cpu", "time", "ppid", "cgroup", "duration"):
        return scope.builtin(name, span)
    raise spec_error(
        "BAD_VAR",
        f"${name} is not known",
        span,
        "known are $arg1 ... $retval $stack $stackN $comm $current and the builtins, as in $pid",
    )


def _stack(digits: str, span: Span, scope: Scope) -> Operand:
    if not scope.has_registers:
        raise _no_registers("BAD_VAR", span)
    pointer = RegisterValue(scope.arch.stack_pointer)
    if not digits:
        return NumberOperand(pointer, None, scope.space)
    if int(digits) > _MAX_STACK_SLOT:
        raise spec_error(
            "BAD_STACK_NUM", f"the stack has no slot {digits}", span, f"0 to {_MAX_STACK_SLOT}"
        )
    return NumberOperand(Load(pointer, 8 * int(digits), X64, scope.space))


def _register(name: str, span: Span, scope: Scope) -> Operand:
    if not scope.has_registers:
        raise _no_registers("BAD_VAR", span)
    member = scope.arch.registers.get(name)
    if member is None:
        raise spec_error(
            "BAD_REG_NAME",
            f"{scope.arch.name} has no register {name}",
            span,
            f"it has {' '.join(dict.fromkeys(scope.arch.registers))}",
        )
    return NumberOperand(RegisterValue(member), None, scope.space)


def _no_registers(code: str, span: Span) -> SpecError:
    return spec_error(
        code, "there are no registers at this place", span, "its fields go by their names"
    )


def _global(expression: ast.Global, scope: Scope) -> Operand:
    if not expression.symbol:
        return MemoryOperand(SymbolAddress("", expression.offset), 0, scope.space)
    if scope.space is Space.USER and scope.has_registers:
        raise spec_error(
            "SYM_ON_UPROBE",
            "kernel symbols mean nothing in user space",
            expression.span,
            "nm(1) prints addresses of the program's own: @0xADDRESS (not for a PIE)",
        )
    symbols = scope.target.symbols(expression.symbol)
    if not symbols:
        raise spec_error(
            "BAD_MEM_ADDR",
            f"the kernel has no symbol {expression.symbol}",
            expression.span,
            "names are those of /proc/kallsyms",
        )
    address = symbols[0].address
    if address == 0:
        raise spec_error(
            "BAD_MEM_ADDR",
            f"the address of {expression.symbol} is hidden",
            expression.span,
            "root sees it unless the sysctl kernel.kptr_restrict is 2",
        )
    base = SymbolAddress(expression.symbol, address)
    return MemoryOperand(base, expression.offset, Space.KERNEL)


def _offset(expression: ast.Offset, scope: Scope) -> Operand:
    inner = resolve_operand(expression.base, scope)
    if isinstance(inner, (TextOperand, ArgvOperand)):
        raise spec_error(
            "COMM_CANT_DEREF",
            f"{expression.base.span.text} is {describe(inner)}, not an address",
            expression.base.span,
            "leave out the +OFFSET(...) around it",
        )
    base = number_of(inner)
    if base is None:
        raise not_a_number(inner, expression.base.span)
    space = scope.space
    if isinstance(inner, MemoryOperand):
        space = inner.space
    if expression.user:
        space = Space.USER
    return MemoryOperand(base, expression.offset, space)


def _member(expression: ast.MemberOf, scope: Scope) -> Operand:
    inner = resolve_operand(expression.base, scope)
    base, offset, space, struct, prefix, outer = _struct_of(inner, expression, scope)
    member = find_member(scope.target, struct, expression.name)
    if member is None:
        near = similar_members(scope.target, struct, expression.name)
        raise spec_error(
            "NO_BTF_FIELD",
            f"{struct.spelling} has no member {expression.name}",
            expression.name_span,
            f"did you mean {' or '.join(near)}?" if near else _members_hint(struct, scope),
        )
    path = f"{prefix}.{expression.name}" if prefix else expression.name
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


def _members_hint(struct: KStruct, scope: Scope) -> str:
    names = [member.name for member in all_members(scope.target, struct)]
    more = f" and {len(names) - _SHOWN_MEMBERS} more" if len(names) > _SHOWN_MEMBERS else ""
    return f"it has {', '.join(names[:_SHOWN_MEMBERS])}{more}" if names else "it has no members"


def _struct_of(
    inner: Operand, expression: ast.MemberOf, scope: Scope
) -> tuple[Value, int, Space, KStruct, str, str]:
    """Where the struct is whose member is wanted: base, offset, space, type, path so far, name."""
    ktype = inner.ktype if isinstance(inner, (NumberOperand, MemoryOperand)) else None
    span = expression.base.span
    if isinstance(ktype, KStruct) and isinstance(inner, MemoryOperand):
        if expression.arrow:
            raise spec_error(
                "NO_PTR_STRCT",
                f"{span.text} is {describe(inner)}, not a pointer",
                span,
                f"write {span.text}.{expression.name}",
            )
        return inner.base, inner.offset, inner.space, ktype, inner.member, inner.struct
    if isinstance(ktype, KPointer) and isinstance(ktype.target, KStruct):
        if not expression.arrow:
            raise spec_error(
                "NOSUP_DAT_ARG",
                f"{span.text} is {describe(inner)}",
                span,
                f"write {span.text}->{expression.name}",
            )
        value = number_of(inner)
        assert value is not None
        if isinstance(inner, MemoryOperand):
            space = pointer_space(inner.space, ktype)
        else:
            assert isinstance(inner, NumberOperand)
            space = Space.USER if ktype.user else inner.points_into
        struct = ktype.target
        return value, 0, _definite(space), struct, "", struct.name or f"type_{struct.type_id}"
    if ktype is None and isinstance(inner, NumberOperand):
        hint = f"say what it points to: ((struct NAME *){span.text})->{expression.name}"
    else:
        hint = "only structs and pointers to them have members"
    raise spec_error(
        "NO_PTR_STRCT", f"{span.text} is {describe(inner)} and has no members", span, hint
    )


def _definite(space: Space) -> Space:
    return Space.KERNEL if space is Space.ANY else space


def _element(expression: ast.Element, scope: Scope) -> Operand:
    inner = resolve_operand(expression.base, scope)
    ktype = inner.ktype if isinstance(inner, (NumberOperand, MemoryOperand)) else None
    if isinstance(ktype, KArray) and isinstance(inner, MemoryOperand):
        if ktype.count and expression.index >= ktype.count:
            raise spec_error(
                "BAD_ARRAY_NUM",
                f"{expression.base.span.text} has {ktype.count} elements",
                expression.span,
                f"the last is [{ktype.count - 1}]",
            )
        step = _size(ktype.element, expression)
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


def _pointed(inner: Operand, ktype: KPointer, base: Value, offset: int) -> MemoryOperand:
    found_in = inner.space if isinstance(inner, MemoryOperand) else None
    if found_in is None and isinstance(inner, NumberOperand):
        found_in = inner.points_into
    space = _definite(pointer_space(found_in or Space.KERNEL, ktype))
    struct = ktype.target.name if isinstance(ktype.target, KStruct) else ""
    return MemoryOperand(base, offset, space, ktype.target, struct)


def _size(ktype: KType, expression: ast.Element) -> int:
    if ktype.size == 0:
        raise spec_error(
            "BAD_TYPE",
            f"the size of {ktype.spelling} is not known",
            expression.base.span,
            "cast to a pointer to something whose size is",
        )
    return ktype.size


def _cast(expression: ast.Cast, scope: Scope) -> Operand:
    inner = resolve_operand(expression.operand, scope)
    value = number_of(inner)
    if value is None:
        raise not_a_number(inner, expression.operand.span)
    scalar = _C_INTEGERS.get(expression.type_name) or scalar_named(
        expression.type_name.removeprefix("__")
    )
    if expression.depth == 0:
        if scalar is None or expression.is_struct:
            raise _bad_cast(expression, scope)
        return NumberOperand(View(value, scalar))
    if scalar is not None and not expression.is_struct:
        is_char = expression.type_name.endswith("char")
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
    into = inner.points_into if isinstance(inner, NumberOperand) else scope.space
    return NumberOperand(value, target, into)


def _bad_cast(expression: ast.Cast, scope: Scope) -> SpecError:
    name = expression.type_name
    near = scope.target.similar_structs(name)
    if scope.target.struct(name) is not None:
        return spec_error(
            "BAD_TYPE",
            f"a value cannot become a struct {name}",
            expression.type_span,
            f"it can be a pointer to one: (struct {name} *)",
        )
    if near:
        hint = f"did you mean {' or '.join(near[:3])}?"
    else:
        hint = "structs go by their names in the kernel's BTF, numbers are u8..u64 s8..s64 and C's"
    return spec_error("BAD_TYPE", f"there is no type {name} here", expression.type_span, hint)


def _call(expression: ast.Call, scope: Scope) -> Operand:
    if expression.function != "entry":
        raise spec_error(
            "BAD_FETCH_ARG",
            f"there is no function {expression.function}",
            expression.function_span,
            "the only one is entry(...): the value that it had on entry",
        )
    if len(expression.arguments) != 1:
        raise spec_error(
            "BAD_FETCH_ARG", "entry(...) takes one value", expression.span, "write one for each"
        )
    inner = resolve_operand(expression.arguments[0], scope)
    if not scope.returns:
        return inner
    value = number_of(inner)
    if value is None:
        raise not_a_number(inner, expression.arguments[0].span)
    if uses_return(value):
        raise spec_error(
            "RETVAL_ON_PROBE",
            "the return value and the duration are not there on entry",
            expression.arguments[0].span,
            "leave out entry(...) around it",
        )
    ktype = inner.ktype if isinstance(inner, (NumberOperand, MemoryOperand)) else None
    into = inner.points_into if isinstance(inner, NumberOperand) else scope.space
    return NumberOperand(Kept(value), ktype, into)


def uses_return(value: object) -> bool:
    """Whether a value, or anything it is made of, exists only on return."""
    from bpfprobe.model.value import Duration, ReturnValue
    from bpfprobe.model.walk import walk

    return any(isinstance(part, (ReturnValue, Duration)) for part in walk(value))


def _unary(expression: ast.Unary, scope: Scope) -> Operand:
    if expression.operator == "!":
        return _truth(expression, scope)
    if expression.operator == "*":
        inner = resolve_operand(expression.operand, scope)
        ktype = inner.ktype if isinstance(inner, (NumberOperand, MemoryOperand)) else None
        base = number_of(inner)
        if not isinstance(ktype, KPointer) or base is None:
            raise spec_error(
                "NO_PTR_STRCT",
                f"{expression.operand.span.text} is {describe(inner)}, not a pointer",
                expression.operand.span,
                "memory at a bare address is written +0(ADDRESS)",
            )
        return _pointed(inner, ktype, base, 0)
    value = resolve_number(expression.operand, scope)
    if isinstance(value, Constant):
        result = -value.value if expression.operator == "-" else ~value.value
        return NumberOperand(Constant((result + (1 << 63)) % (1 << 64) - (1 << 63)))
    return NumberOperand(UnaryOperation(expression.operator, value, S64))


def _binary(expression: ast.Binary, scope: Scope) -> Operand:
    if expression.operator in _COMPARISONS:
        return _truth(expression, scope)
    left = resolve_number(expression.left, scope)
    right = resolve_number(expression.right, scope)
    if isinstance(right, Constant):
        if expression.operator in ("/", "%") and right.value == 0:
            raise spec_error(
                "BAD_IMM", "division by zero", expression.right.span, "divide by something else"
            )
        if expression.operator in ("<<", ">>") and not 0 <= right.value < 64:
            raise spec_error(
                "BAD_IMM",
                "a shift goes from 0 to 63 bits",
                expression.right.span,
                "numbers have 64 bits here",
            )
    unsigned = any(not side.type.signed and side.type.size == 8 for side in (left, right))
    result = U64 if unsigned else S64
    if expression.operator in ("/", "%") and not unsigned:
        raise_signed_division(left, right, expression)
    return NumberOperand(BinaryOperation(expression.operator, left, right, result))


def raise_signed_division(left: Value, right: Value, expression: ast.Binary) -> None:
    """Refuse a division of what may be negative: BPF has no signed one before Linux 6.6."""
    for side, part in ((left, expression.left), (right, expression.right)):
        positive = isinstance(side, Constant) and side.value >= 0
        if side.type.signed and not positive:
            raise spec_error(
                "BAD_OPERATOR",
                f"{part.span.text} may be negative, and BPF divides unsigned numbers only",
                part.span,
                f"write (u64){_in_brackets(part)} if it never is",
            )


def _in_brackets(expression: ast.Expression) -> str:
    text = expression.span.text
    is_open = isinstance(expression, ast.Binary) and not text.startswith("(")
    return f"({text})" if is_open else text


def _truth(expression: ast.Expression, scope: Scope) -> Operand:
    from bpfprobe.resolve.conditions import resolve_condition

    return NumberOperand(Truth(resolve_condition(expression, scope)))
