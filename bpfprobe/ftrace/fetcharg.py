"""Value -> fetcharg: what Documentation/trace/kprobetrace.rst calls FETCHARG, with its type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.ftrace.place import NoFormError
from bpfprobe.model.noun import dataclass, replace
from bpfprobe.model.scalar import X64, Scalar, Style
from bpfprobe.model.stack import StackValue
from bpfprobe.model.value import (
    Argument,
    ArgumentVector,
    ArrayValue,
    BinaryOperation,
    Builtin,
    BuiltinValue,
    BytesAt,
    CommText,
    Constant,
    ConstantText,
    ContextAddress,
    ContextField,
    Duration,
    Kept,
    Load,
    PlaceText,
    RegisterValue,
    ReturnValue,
    Space,
    SymbolAddress,
    SyscallArgument,
    TextArray,
    TextAt,
    View,
)

if TYPE_CHECKING:
    from bpfprobe.ftrace.place import Place
    from bpfprobe.model.value import Capturable, Value

MAX_ARRAY = 64  # MAX_ARRAY_LEN, kernel/trace/trace_probe.h
_ENTRY_VALUES = "arguments at a return, Linux 6.9"
_SINCE = {"char": "the type char, Linux 6.3", "symstr": "the type symstr, Linux 6.1"}
_BUILTINS = {
    Builtin.TID: "every record has it already, as common_pid",
    Builtin.CPU: "every record has it already, in brackets",
    Builtin.TIME: "every record has it already, as its time",
    Builtin.PID: "a record has the thread (common_pid), not the process",
    Builtin.TASK: "no fetcharg reaches the current task on kernels up to 7.2",
}


@dataclass(frozen=True, slots=True)
class Fetched:
    """A fetcharg and the number that it gives.

    ``bits`` are the width and the first bit of a bit field in a unit of the scalar's size. A string
    or an array has its type in ``other``.
    """

    text: str
    scalar: Scalar = X64
    bits: tuple[int, int] | None = None
    other: str = ""
    needs: tuple[str, ...] = ()

    @property
    def type(self) -> str:
        """The type as it stands behind the colon."""
        if self.other:
            return self.other
        if self.bits:
            return f"b{self.bits[0]}@{self.bits[1]}/{self.scalar.size * 8}"
        return "u8" if self.scalar.style is Style.BOOLEAN else str(self.scalar)

    @property
    def all_needs(self) -> tuple[str, ...]:
        """What not every kernel has."""
        own = [need for name, need in _SINCE.items() if self.type.startswith(name)]
        return (*self.needs, *own)

    def __str__(self) -> str:
        return f"{self.text}:{self.type}"


def fetch(value: Capturable, place: Place) -> Fetched:
    """The fetcharg of a capture. Raises `NoFormError`."""
    kind = value.element if isinstance(value, ArrayValue) else getattr(value, "type", None)
    if isinstance(kind, Scalar) and kind.style is Style.FLOAT:
        raise NoFormError("the kernel's types have no floats")
    match value:
        case TextAt():
            return _text(value, place)
        case CommText():
            return Fetched("$comm", other="string")
        case PlaceText():
            raise NoFormError("an event of ftrace is at one place")
        case ConstantText(text):
            return Fetched(f'\\"{_plain(text)}"', other="string")
        case ArrayValue(pointer, element, count, space, first_bit, width):
            if count > MAX_ARRAY:
                raise NoFormError(f"an array has at most {MAX_ARRAY} elements there")
            if space is Space.USER and not place.is_user:
                raise NoFormError("an array in user memory has no form in a probe of the kernel")
            found = _memory(pointer, 0, space, place)
            kind = Fetched("", element, (width, first_bit) if width else None)
            return Fetched(
                found.text, other=f"{kind.type}[{count}]", needs=(*found.needs, *kind.all_needs)
            )
        case BytesAt():
            raise NoFormError(
                "bytes of a length that each hit has its own of have no form; so many always do: "
                "+0(POINTER):u8[64]"
            )
        case TextArray(pointer, count, pointers, space):
            if pointers is Space.USER and not place.is_user:
                raise NoFormError("an array in user memory has no form in a probe of the kernel")
            found = _memory(pointer, 0, pointers, place)
            user = space is Space.USER and not place.is_user
            return replace(found, other=f"{'u' if user else ''}string[{count}]")
        case ArgumentVector():
            raise NoFormError(
                "a list of unknown length has no form; its strings go one by one: "
                "+0(+0(VECTOR)):ustring +0(+8(VECTOR)):ustring"
            )
        case StackValue(user):
            option = "userstacktrace" if user else "stacktrace"
            raise NoFormError(f"a stack is not a fetcharg: echo 1 > options/{option}")
    return _number(value, place)


def _number(value: Value, place: Place) -> Fetched:
    match value:
        case Constant(number):
            return Fetched(f"\\{number}", value.type)
        case Argument(number, scalar) | Kept(Argument(number, scalar)):
            if place.returns and place.is_user:
                raise NoFormError("arguments of a program's function are gone at its return")
            if place.returns:
                return Fetched(f"$arg{number}", scalar, needs=(_ENTRY_VALUES,))
            return Fetched(place.register(place.arch.arguments[number - 1]), scalar)
        case SyscallArgument(number, scalar) | Kept(SyscallArgument(number, scalar)):
            return _syscall_argument(number, scalar, place)
        case RegisterValue(member, scalar):
            return Fetched(place.register(member), scalar)
        case ReturnValue(scalar, number):
            second = place.arch.return_values[1]
            return Fetched(place.register(second) if number else "$retval", scalar)
        case ContextField(offset, scalar):
            return Fetched(f"${_field(offset, place)}", scalar)
        case Load():
            return _load(value, place)
        case View(inner, scalar):
            return _view(_number(inner, place), scalar)
        case BuiltinValue(builtin):
            raise NoFormError(_BUILTINS.get(builtin, f"ftrace has no value for {builtin.value}"))
        case Duration():
            raise NoFormError("no time is kept from entry; subtract the times of a p and an r line")
        case Kept():
            raise NoFormError("memory that was read on entry cannot be kept for the return")
        case BinaryOperation() | SymbolAddress() | ContextAddress():
            raise NoFormError("a fetcharg reads values and does no arithmetic on them")
    raise NoFormError("a fetcharg reads values and does no arithmetic or comparison on them")


def _syscall_argument(number: int, scalar: Scalar, place: Place) -> Fetched:
    """Out of the registers of the caller, to which the wrapper has a pointer (Linux 4.17)."""
    offset = place.saved_offset(place.arch.syscall_arguments[number - 1])
    pointer = _number(Argument(1), place)
    return Fetched(f"+{offset}({pointer.text})", scalar, needs=pointer.needs)


def _load(value: Load, place: Place) -> Fetched:
    found = _memory(value.base, value.offset, value.space, place)
    if not value.bit_size:
        return replace(found, scalar=value.type)
    if value.type.signed:
        raise NoFormError("bit fields are unsigned there, and this one is signed")
    return replace(found, scalar=value.type, bits=(value.bit_size, value.bit_offset))


def _view(found: Fetched, scalar: Scalar) -> Fetched:
    """The same bits cut to, or the same number in, another type."""
    if found.bits:
        if found.bits[0] > scalar.size * 8 - scalar.signed:
            raise NoFormError("a bit field cannot be cut to a narrower type")
        return found
    if scalar.size <= found.scalar.size:  # little-endian: the low bytes stand first
        return replace(found, scalar=scalar)
    if found.scalar.signed and not scalar.signed:
        raise NoFormError(f"{found.scalar} cannot be widened to {scalar} with its sign")
    if scalar.style is Style.HEX and not found.scalar.signed:
        return replace(found, scalar=replace(found.scalar, style=Style.HEX))
    return found


def _text(value: TextAt, place: Place) -> Fetched:
    if isinstance(value.pointer, ContextAddress):
        return Fetched(f"${_field(value.pointer.offset, place)}", other="string")
    in_user_memory = value.space is Space.USER and not place.is_user
    # A string says itself whose memory it is in: the u of the last step is left out.
    space = Space.KERNEL if in_user_memory else value.space
    found = _memory(value.pointer, 0, space, place)
    return replace(found, other="ustring" if in_user_memory else "string")


def _memory(base: Value, offset: int, space: Space, place: Place) -> Fetched:
    """What stands at ``base + offset``."""
    while isinstance(base, BinaryOperation):
        if base.operator != "+" or not isinstance(base.right, Constant):
            raise NoFormError("an address is a value plus a number there, without arithmetic")
        offset += base.right.value
        base = base.left
    if place.is_user and space is Space.KERNEL:
        raise NoFormError("a probe in a program reads the program's memory only")
    if isinstance(base, ContextAddress):
        raise NoFormError("an array in a record of a tracepoint has no form but as a string")
    user = "u" if space is Space.USER and not place.is_user else ""
    if isinstance(base, SymbolAddress):
        return Fetched(_at(base, offset, user))
    pointer = _number(base, place)
    if pointer.bits or pointer.scalar.size != 8:
        raise NoFormError(f"an address has 64 bits there, and this one is {pointer.type}")
    return replace(pointer, text=f"{'-' if offset < 0 else '+'}{user}{abs(offset)}({pointer.text})")


def _at(base: SymbolAddress, offset: int, user: str) -> str:
    if user:
        raise NoFormError("@ reads the kernel's memory in a probe of the kernel")
    if base.symbol:
        return f"@{base.symbol}{offset:+d}" if offset else f"@{base.symbol}"
    return f"@{base.address + offset:#x}"


def _field(offset: int, place: Place) -> str:
    name = place.fields.get(offset)
    if name is None:
        raise NoFormError(f"the tracepoint names no field at {offset}")
    return name


def _plain(text: bytes) -> str:
    plain = text.decode("ascii", errors="replace")
    if not plain.isprintable() or "\ufffd" in plain or any(char in ' "#' for char in plain):
        raise NoFormError('text in a line of ftrace is printable ASCII without a blank, " or #')
    return plain
