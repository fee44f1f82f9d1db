"""Expression -> operand: every name found, every member placed."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

from bpfprobe.errors import spec_error
from bpfprobe.model import expression as ast
from bpfprobe.model.functions import FUNCTIONS, no_function
from bpfprobe.model.ktype import KInt, KPointer
from bpfprobe.model.scalar import S64, U64
from bpfprobe.model.value import (
    BinaryOperation,
    ByPlace,
    Constant,
    ConstantText,
    Duration,
    Kept,
    ReturnValue,
    Space,
    Truth,
    UnaryOperation,
    Value,
    View,
)
from bpfprobe.model.walk import walk
from bpfprobe.resolve import atoms
from bpfprobe.resolve.casts import cast, struct_view
from bpfprobe.resolve.operand import (
    ArgvOperand,
    MemoryOperand,
    NumberOperand,
    Operand,
    StackOperand,
    TextOperand,
    address_of,
    describe,
    ktype_of,
    leads_into,
    not_a_number,
    number_of,
    value_of,
)
from bpfprobe.resolve.reach import element_of, followed, member_of, pointed_to

if TYPE_CHECKING:
    from bpfprobe.model.scalar import Scalar
    from bpfprobe.resolve.scope import Scope

_OF_THIS_CPU = ("this_cpu_ptr", "this_cpu_read")
_OPERATIONS = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.floordiv,
    "%": operator.mod,
    "<<": operator.lshift,
    ">>": operator.rshift,
    "&": operator.and_,
    "|": operator.or_,
    "^": operator.xor,
}
_COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">=", "~", "&&", "||"})


def resolve_operand(expression: ast.Expression, scope: Scope) -> Operand:
    """What the expression stands for at this probe. Raises `SpecError`."""
    return followed(_operand(expression, scope))


def _operand(expression: ast.Expression, scope: Scope) -> Operand:
    match expression:
        case ast.Number(value):
            return NumberOperand(Constant(value))
        case ast.Text(value):
            return TextOperand(ConstantText(value))
        case ast.CpuList(_, span):
            raise spec_error(
                "ILLEGAL_FIELD_OP",
                "a set of CPUs stands to the right of == != or & in a filter",
                span,
                "cpu & CPUS{0-3}",
            )
        case ast.Name(name, span):
            return scope.name(name, span)
        case ast.Variable(name, span):
            return atoms.variable(name, span, scope)
        case ast.Register(name, span):
            return atoms.register(name, span, scope)
        case ast.Global():
            return atoms.global_memory(expression, scope)
        case ast.FileMemory():
            return atoms.file_memory(expression, scope)
        case ast.Offset():
            return _offset(expression, scope)
        case ast.MemberOf(ast.Name("args"), name) if not scope.has_args:
            return scope.named_argument(name, expression.span)
        case ast.MemberOf(base):
            return member_of(_with_parts(base, scope), expression, scope)
        case ast.Element(base):
            return element_of(_with_parts(base, scope), expression)
        case ast.Cast(operand=operand):
            return cast(resolve_operand(operand, scope), expression, scope)
        case ast.StructView(operand=operand):
            return struct_view(resolve_operand(operand, scope), expression, scope)
        case ast.Call():
            return _call(expression, scope)
        case ast.Unary():
            return _unary(expression, scope)
        case ast.Binary():
            return _binary(expression, scope)


def _with_parts(expression: ast.Expression, scope: Scope) -> Operand:
    """What has members or elements: no builtin has any, so a name here is the argument's."""
    if isinstance(expression, ast.Name) and scope.is_hidden_argument(expression.name):
        return followed(scope.named_argument(expression.name, expression.span))
    return resolve_operand(expression, scope)


def resolve_number(expression: ast.Expression, scope: Scope) -> Value:
    """The expression as a number. Raises `SpecError` where it is none."""
    return _number(expression, resolve_operand(expression, scope))


def _number(expression: ast.Expression, operand: Operand) -> Value:
    value = number_of(operand)
    if value is not None:
        return value
    raise not_a_number(operand, expression.span)


def _address(expression: ast.Expression, operand: Operand, around: str) -> Value:
    """A number that is to be an address, for what stands ``around`` it."""
    if isinstance(operand, (TextOperand, ArgvOperand, StackOperand)):
        raise spec_error(
            "COMM_CANT_DEREF",
            f"{expression.span.text} is {describe(operand)}, not an address",
            expression.span,
            f"leave out {around} around it",
        )
    return _number(expression, operand)


def _offset(expression: ast.Offset, scope: Scope) -> Operand:
    inner = resolve_operand(expression.base, scope)
    base = _address(expression.base, inner, "the +OFFSET(...)")
    space = scope.space
    if isinstance(inner, MemoryOperand):
        space = inner.space
    if expression.user:
        space = Space.USER
    return MemoryOperand(base, expression.offset, space)


def _call(expression: ast.Call, scope: Scope) -> Operand:
    if expression.function not in FUNCTIONS:
        raise no_function(expression.function, expression.function_span)
    if len(expression.arguments) != 1:
        raise spec_error(
            "BAD_FETCH_ARG",
            f"{expression.function}(...) takes one value",
            expression.span,
            "write one for each",
        )
    inner = resolve_operand(expression.arguments[0], scope)
    if expression.function in _OF_THIS_CPU:
        return _of_this_cpu(inner, expression, scope)
    if not scope.returns:
        return inner
    value = value_of(inner)
    if value is None:
        raise not_a_number(inner, expression.arguments[0].span)
    if uses_return(value):
        raise spec_error(
            "RETVAL_ON_PROBE",
            "the return value and the duration are not there on entry",
            expression.arguments[0].span,
            "leave out entry(...) around it",
        )
    if any(isinstance(part, ByPlace) for part in walk(value)):
        raise spec_error(
            "BAD_FETCH_ARG",
            f"{expression.arguments[0].span.text} is elsewhere at each of several entry points",
            expression.arguments[0].span,
            "probe one of them: bpfprobe explain lists them",
        )
    ktype = ktype_of(inner)
    return NumberOperand(Kept(value), ktype, leads_into(inner, scope.space))


def _of_this_cpu(inner: Operand, expression: ast.Call, scope: Scope) -> Operand:
    """A variable of this CPU, by a pointer to it or as ``@SYMBOL``.

    Of a symbol the place counts, as handle_dereference() of kernel/trace/trace_probe.c has it, and
    not what is read there: that would be the copy of no CPU.
    """
    argument = expression.arguments[0]
    ktype = ktype_of(inner)
    if isinstance(argument, ast.Global) and isinstance(inner, MemoryOperand):
        address = address_of(inner)
    else:
        address = _address(argument, inner, f"{expression.function}(...)")
    place = atoms.this_cpu(address, expression.span, scope)
    if expression.function == "this_cpu_ptr":
        return NumberOperand(place, ktype)
    target = ktype.target if isinstance(ktype, KPointer) else None
    known = target if isinstance(target, (KInt, KPointer)) else None
    return MemoryOperand(place, 0, Space.KERNEL, known)


def uses_return(value: object) -> bool:
    """Whether a value, or anything it is made of, exists only on return."""
    return any(isinstance(part, (ReturnValue, Duration)) for part in walk(value))


def _unary(expression: ast.Unary, scope: Scope) -> Operand:
    if expression.operator == "!":
        return _truth(expression, scope)
    if expression.operator == "*":
        return pointed_to(resolve_operand(expression.operand, scope), expression)
    inner = resolve_operand(expression.operand, scope)
    value = _number(expression.operand, inner)
    if isinstance(value, Constant):
        result = -value.value if expression.operator == "-" else ~value.value
        return NumberOperand(_wrapped(result))
    negative = UnaryOperation(expression.operator, value, S64)
    return NumberOperand(negative, None, leads_into(inner, scope.space))


def _binary(expression: ast.Binary, scope: Scope) -> Operand:
    if expression.operator in _COMPARISONS:
        return _truth(expression, scope)
    operands = [resolve_operand(side, scope) for side in (expression.left, expression.right)]
    left, right = _number(expression.left, operands[0]), _number(expression.right, operands[1])
    known = _known(right)
    if known is not None:
        if expression.operator in ("/", "%") and known == 0:
            raise spec_error(
                "BAD_IMM", "division by zero", expression.right.span, "divide by something else"
            )
        if expression.operator in ("<<", ">>") and not 0 <= known < 64:
            raise spec_error(
                "BAD_IMM",
                "a shift goes from 0 to 63 bits",
                expression.right.span,
                "numbers have 64 bits here",
            )
    deciding = (left,) if expression.operator in ("<<", ">>") else (left, right)
    unsigned = any(not side.type.signed and side.type.size == 8 for side in deciding)
    result = U64 if unsigned else S64
    if expression.operator in ("/", "%") and not unsigned:
        raise_signed_division(left, right, expression)
    if isinstance(left, Constant) and isinstance(right, Constant):
        return NumberOperand(_calculated(expression.operator, left.value, right.value, result))
    into = Space.USER in [leads_into(side, scope.space) for side in operands]
    return NumberOperand(
        BinaryOperation(expression.operator, left, right, result),
        None,
        Space.USER if into else scope.space,
    )


def _known(value: Value) -> int | None:
    """The number, where it is known now: what C leaves open is refused, not compiled."""
    if isinstance(value, View) and isinstance(value.value, Constant):
        low = value.value.value % (1 << 8 * value.type.size)
        return low - (low >> 8 * value.type.size - 1 << 8 * value.type.size) * value.type.signed
    return value.value if isinstance(value, Constant) else None


def _calculated(sign: str, left: int, right: int, result: Scalar) -> Constant:
    """What the program would come to."""
    if result == U64:
        return Constant(_OPERATIONS[sign](left % (1 << 64), right % (1 << 64)) % (1 << 64))
    return _wrapped(_OPERATIONS[sign](left, right))


def _wrapped(number: int) -> Constant:
    """The number in 64 bits, signed."""
    return Constant((number + (1 << 63)) % (1 << 64) - (1 << 63))


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
