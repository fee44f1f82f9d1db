"""Where the arguments of a Go function are.

Go's ABIInternal (https://go.dev/s/regabi, src/cmd/compile/abi-internal.md): a value goes into
registers number by number, in one sequence for integers and one for floats, and the whole of it to
the stack if they do not suffice or an array of several is in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import TargetError, spec_error
from bpfprobe.model.ktype import Abi, KArray, KFloat, KInt, KOther, KPointer, KStruct
from bpfprobe.model.noun import replace
from bpfprobe.model.scalar import F32, F64
from bpfprobe.model.value import Kept, Load, RegisterValue
from bpfprobe.resolve.leaves import leaves_of
from bpfprobe.resolve.operand import MemoryOperand, NumberOperand, scalar_of
from bpfprobe.resolve.parts import Part, in_parts, number_in, register_of
from bpfprobe.resolve.passing import (
    in_vector,
    nothing_handed,
    number_operand,
    register_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bpfprobe.errors import SpecError
    from bpfprobe.model.arch import Arch
    from bpfprobe.model.ktype import KType, Parameter, Prototype
    from bpfprobe.model.span import Span
    from bpfprobe.model.value import Space, Value
    from bpfprobe.resolve.leaves import Members
    from bpfprobe.resolve.operand import Operand

_X86_64 = ("ax", "bx", "cx", "di", "si", "r8", "r9", "r10", "r11")
_AARCH64 = tuple(f"regs[{n}]" for n in range(16))
_FLOATS = {"x86_64": 15, "aarch64": 16}
_BY_GO = "Go hands it over"
_REGISTERS_HINT = "Go's registers are %ax %bx %cx %di %si %r8 %r9 %r10 %r11, in this order"
_FIRST_ON_STACK = 8  # after the return address, which on arm64 has a slot too
_DEEPEST = 40


class _StackError(Exception):
    """A value is not for registers."""


class _UnknownError(Exception):
    """What is known of a type does not say how a value of it is handed over."""


def go_places(
    prototype: Prototype, arch: Arch, members: Members, *, space: Space, returns: bool
) -> Iterator[tuple[Parameter, Operand | TargetError]]:
    """Return each parameter with its place, or with the reason why no program can take it."""
    parameters = [_with_pointer(parameter) for parameter in prototype.parameters]
    named = [_named(parameter, arch, members) for parameter in parameters]
    rules = _by_the_rules(parameters, prototype.abi, arch, members)
    # What the debug information names bears the rules out, or belies them all.
    if prototype.abi is Abi.GO_GENERIC or not all(map(_agree, rules, named)):
        rules = [None] * len(parameters)
    for parameter, rule, other in zip(parameters, rules, named, strict=True):
        place = rule if rule is not None else other
        if parameter.is_removed or place is None:
            yield parameter, _unplaced(parameter, prototype)
        elif isinstance(place, int):
            yield parameter, _on_stack(place, parameter, arch, space, returns=returns)
        else:
            yield parameter, _in_registers(place, parameter, arch, members, space, returns=returns)


def _with_pointer(parameter: Parameter) -> Parameter:
    """Return the parameter as it is handed over: what is a function to Go is an address."""
    ktype = parameter.type
    if not isinstance(ktype, KOther) or ktype.base != "function":
        return parameter
    return replace(parameter, type=KPointer(ktype.spelling, replace(ktype, spelling="void")))


def _named(parameter: Parameter, arch: Arch, members: Members) -> tuple[Part, ...] | None:
    """Return where the debug information says that it is, None where not all of it is there.

    Go's pieces follow one another without the padding that is between them.
    """
    try:
        wanted = list(_numbers(parameter.type, 0, members, 0))
    except (_StackError, _UnknownError):
        return None
    if parameter.by_reference:
        return None
    places = parameter.pieces or ((parameter.register, 0),)
    if len(places) != len(wanted) or any(register < 0 for register, _ in places):
        return None
    if any(size not in (0, number[1]) for (_, size), number in zip(places, wanted, strict=True)):
        return None
    return tuple(
        Part(register_of(register, arch), offset, size)
        for (register, _), (offset, size, _) in zip(places, wanted, strict=True)
    )


def _agree(rule: tuple[Part, ...] | int | None, named: tuple[Part, ...] | None) -> bool:
    return rule is None or named is None or rule == named


def _by_the_rules(
    parameters: Sequence[Parameter], abi: Abi, arch: Arch, members: Members
) -> list[tuple[Part, ...] | int | None]:
    """Return for each parameter its registers, or its offset from the stack pointer on entry."""
    numbers = _X86_64 if arch.name == "x86_64" else _AARCH64
    found: list[tuple[Part, ...] | int | None] = []
    left, floats, stack = list(numbers), _FLOATS[arch.name], _FIRST_ON_STACK
    for parameter in parameters:
        try:
            wanted = list(_numbers(parameter.type, 0, members, 0))
            count = sum(not is_float for _, _, is_float in wanted)
            if abi is Abi.GO_STACK or not parameter.type.size:
                raise _StackError
            if count > len(left) or len(wanted) - count > floats:
                raise _StackError
        except _UnknownError:
            return found + [None] * (len(parameters) - len(found))
        except _StackError:
            alignment = _alignment(parameter.type, members)
            if alignment is None:
                return found + [None] * (len(parameters) - len(found))
            stack += -stack % alignment
            found.append(stack)
            stack += parameter.type.size
            continue
        parts = tuple(
            Part("" if is_float else left.pop(0), offset, size) for offset, size, is_float in wanted
        )
        floats -= len(wanted) - count
        found.append(parts)
    return found


def _numbers(
    ktype: KType, offset: int, members: Members, depth: int
) -> Iterator[tuple[int, int, bool]]:
    """Yield (offset, bytes, whether it is a float) of all that a value is made of."""
    if depth > _DEEPEST:
        raise _UnknownError
    if isinstance(ktype, KFloat):
        yield offset, ktype.size, True
    elif isinstance(ktype, KPointer) or (isinstance(ktype, KInt) and 0 < ktype.size <= 8):
        yield offset, ktype.size, False
    elif isinstance(ktype, KOther) and ktype.base == "function":
        yield offset, 8, False
    elif isinstance(ktype, KOther) and ktype.base == "complex":
        half = ktype.size // 2
        yield offset, half, True
        yield offset + half, half, True
    elif isinstance(ktype, KArray):
        if ktype.count > 1:
            raise _StackError
        if ktype.count:
            yield from _numbers(ktype.element, offset, members, depth + 1)
    elif isinstance(ktype, KStruct):
        for member in members(ktype):
            if member.name == "_":
                raise _UnknownError  # Go's padding, which takes part in no agreement we know of
            yield from _numbers(member.type, offset + member.offset, members, depth + 1)
    else:
        raise _UnknownError


def _alignment(ktype: KType, members: Members) -> int | None:
    leaves = leaves_of(ktype, members)
    if leaves is None:
        return None
    complex_half = 8 if any(isinstance(leaf.type, KOther) for leaf in leaves) else 0
    return min(8, max((1, complex_half, *(leaf.needs for leaf in leaves))))


def _in_registers(
    parts: tuple[Part, ...],
    parameter: Parameter,
    arch: Arch,
    members: Members,
    space: Space,
    *,
    returns: bool,
) -> Operand | TargetError:
    ktype = parameter.type
    if not any(part.register for part in parts):
        return in_vector(parameter, _BY_GO) if parts else nothing_handed(parameter)
    if not isinstance(ktype, (KStruct, KArray)):
        value = number_in(parts[0].register, ktype, returns=returns)
        if value is None or len(parts) != 1:
            return in_vector(parameter, _BY_GO)
        return number_operand(value, ktype, space)
    found = in_parts(
        parts, ktype, members, lambda one: register_name(arch, one), space, returns=returns
    )
    if found is None or _are_mixed(parts):
        return _unknown(parameter)
    return found


def _are_mixed(parts: tuple[Part, ...]) -> bool:
    """Return whether a float shares its eight bytes with what is not one."""
    kinds = {(part.offset // 8, bool(part.register)) for part in parts}
    return len(kinds) > len({eight for eight, _ in kinds})


def _on_stack(
    offset: int, parameter: Parameter, arch: Arch, space: Space, *, returns: bool
) -> Operand | TargetError:
    ktype = parameter.type
    if not ktype.size:
        return nothing_handed(parameter)
    pointer = RegisterValue(arch.stack_pointer)
    scalar = F32 if isinstance(ktype, KFloat) and ktype.size == 4 else scalar_of(ktype)
    if isinstance(ktype, KFloat) and ktype.size == 8:
        scalar = F64
    if scalar is not None:
        load: Value = Load(pointer, offset, scalar, space)
        value = Kept(load) if returns else load
        if isinstance(ktype, KFloat):
            return NumberOperand(value, ktype, space)
        return number_operand(value, ktype, space)
    if returns:
        return TargetError(
            f"{parameter.name} is a {ktype.spelling} on the stack, which may have changed by the "
            "return",
            code="STRUCT_ARGUMENT",
            hint="take it on entry",
        )
    return MemoryOperand(pointer, offset, space, ktype)


def _unknown(parameter: Parameter) -> TargetError:
    return TargetError(
        f"{parameter.name} is a {parameter.type.spelling}: some of its members share eight bytes "
        "with a float, which Go hands over in a vector register",
        code="STRUCT_ARGUMENT",
        hint=_REGISTERS_HINT,
    )


def _unplaced(parameter: Parameter, prototype: Prototype) -> TargetError:
    if prototype.abi is Abi.GO_GENERIC:
        cause = (
            f"{prototype.name} is code for several types, which Go hands one thing more than the "
            f"source says, and its debug information does not say where {parameter.name} is"
        )
    else:
        cause = (
            f"where Go hands {parameter.name} ({parameter.type.spelling}) over to "
            f"{prototype.name} is not known"
        )
    return TargetError(
        cause,
        code="NO_BTFARG",
        hint=_REGISTERS_HINT,
    )


def unknown_by_number(number: int, path: str, span: Span) -> SpecError:
    """Return why ``$argN`` of a program cannot be taken whose debug information is not there."""
    return spec_error(
        "BAD_ARG_NUM",
        f"it is not known where argument {number} is: {path} is a Go program, which hands "
        "arguments over by the types they have, and its debug information does not tell them",
        span,
        f"{_REGISTERS_HINT} (of C code in it: %di %si %dx %cx %r8 %r9)",
    )
