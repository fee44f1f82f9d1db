"""Values and conditions in the words of the kernel, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.deliver.escape import escape
from bpfprobe.model.printable import lines_text
from bpfprobe.model.stack import StackValue
from bpfprobe.model.value import (
    AllOf,
    AnyOf,
    Argument,
    ArgumentVector,
    ArrayValue,
    BinaryOperation,
    BuiltinValue,
    ByPlace,
    BytesAt,
    Capturable,
    CommText,
    Compare,
    Condition,
    Constant,
    ConstantText,
    ContextAddress,
    ContextField,
    Duration,
    GlobText,
    Kept,
    Load,
    MaskedText,
    NonZero,
    Not,
    Parameter,
    PlaceNumber,
    PlaceText,
    RegisterValue,
    ReturnValue,
    SymbolAddress,
    SyscallArgument,
    TextArray,
    TextAt,
    TextEquals,
    TextMatches,
    Truth,
    UnaryOperation,
    View,
)

if TYPE_CHECKING:
    from bpfprobe.model.bound import Bound


def bound_text(bound: Bound) -> str:
    """Each capture of a probe with its value, and the filter."""
    lines = [f"{bound.spec.name}: {escape(str(bound.spec.point))}"]
    for capture in bound.captures:
        kind = getattr(capture.value, "type", None)
        of_type = f" ({kind})" if kind is not None else ""
        lines.append(f"  {capture.capture.name} = {value_text(capture.value)}{of_type}")
    if bound.filter is not None:
        lines.append(f"  if {condition_text(bound.filter)}")
    return lines_text(lines)


def value_text(value: Capturable) -> str:
    """A value in words."""
    match value:
        case Constant(number) | Parameter(value=number):
            return str(number)
        case Argument(number) | SyscallArgument(number):
            return f"argument {number}"
        case RegisterValue(member):
            return f"%{member}"
        case ReturnValue(_, number):
            return "the second register of the return value" if number else "the return value"
        case ContextField(offset):
            return f"field at {offset}"
        case ContextAddress(offset):
            return f"address of the field at {offset}"
        case BuiltinValue(builtin):
            return builtin.value
        case Duration():
            return "duration"
        case SymbolAddress(symbol, address):
            return f"@{symbol or hex(address)}"
        case Load():
            return _load_text(value)
        case Kept(inner):
            return f"{value_text(inner)} on entry"
        case View(inner, scalar):
            return f"({scalar}){value_text(inner)}"
        case UnaryOperation(operator, operand):
            return f"{operator}{value_text(operand)}"
        case BinaryOperation(operator, left, right):
            return f"({value_text(left)} {operator} {value_text(right)})"
        case PlaceNumber():
            return "the number of the place"
        case ByPlace(values):
            return " or ".join(dict.fromkeys(value_text(one) for one in values)) + ", by place"
        case Truth(condition):
            return condition_text(condition)
        case CommText():
            return "comm"
        case PlaceText(names):
            return f"the function, one of {len(names)}"
        case ConstantText(text):
            return _quoted(text)
        case TextAt(pointer, space):
            return f"{space.value} string at {value_text(pointer)}"
        case ArrayValue(pointer, element, count, space):
            return f"{element}[{count}] in {space.value} memory at {value_text(pointer)}"
        case BytesAt(pointer, length, space):
            return f"({value_text(length)}) bytes of {space.value} memory at {value_text(pointer)}"
        case TextArray(pointer, count, pointers):
            return (
                f"{count} strings by pointers in {pointers.value} memory at {value_text(pointer)}"
            )
        case ArgumentVector():
            return "argument vector"
        case StackValue(user, callers):
            added = " or ".join(dict.fromkeys(one.value for one in callers))
            caller = f", its caller put in by {added}" if added else ""
            return ("stack of the program" if user else "stack of the kernel") + caller


def _load_text(value: Load) -> str:
    base = value_text(value.base)
    if value.member:
        return f"({base})->{value.member}"
    return f"{value.type} in {value.space.value} memory at {base}+{value.offset}"


def condition_text(condition: Condition) -> str:
    """A condition in words."""
    match condition:
        case Compare(operator, left, right):
            return f"{value_text(left)} {operator} {value_text(right)}"
        case TextEquals(text, literal, negated):
            return f"{value_text(text)} {'!=' if negated else '=='} {_quoted(literal)}"
        case TextMatches(text, pattern, negated):
            return f"{'!' * negated}({value_text(text)} ~ {_quoted(pattern)})"
        case MaskedText(asked) | GlobText(asked):
            return condition_text(asked)
        case NonZero(value):
            return f"{value_text(value)} != 0"
        case Not(inner):
            return f"!({condition_text(inner)})"
        case AllOf(parts):
            return " && ".join(f"({condition_text(part)})" for part in parts)
        case AnyOf(parts):
            return " || ".join(f"({condition_text(part)})" for part in parts)


def _quoted(text: bytes) -> str:
    return '"' + escape(text.decode("utf-8", "surrogateescape")) + '"'
