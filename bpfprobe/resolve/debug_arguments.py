"""Arguments of a function of a program by name, from its debug information.

Where each of them is follows from the types of those before it, as the calling conventions say:
System V ABI for AMD64, 3.2.3; Procedure Call Standard for the Arm 64-bit Architecture, 6.8.2.
"""

from __future__ import annotations

from difflib import get_close_matches
from functools import cached_property
from typing import TYPE_CHECKING

from bpfprobe.errors import TargetError, spec_error
from bpfprobe.model.ktype import KArray, KOther, KPointer, KStruct
from bpfprobe.model.scalar import X64, Scalar
from bpfprobe.model.value import Argument, Kept, Load, RegisterValue, Space, Value
from bpfprobe.resolve.operand import NumberOperand, Operand, scalar_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bpfprobe.model.arch import Arch
    from bpfprobe.model.ktype import Parameter, Prototype
    from bpfprobe.model.machine import Binary, VirtualAddress
    from bpfprobe.model.span import Span
    from bpfprobe.target import Target

_FLOAT_REGISTERS = 8
_IN_MEMORY = 16
"""Bytes. A larger struct is returned where a hidden first argument points, on x86-64."""

_FLOATS = ("float", "double", "_Float", "f32", "f64")


class DebugArguments:
    """The arguments of one function, looked up when the first is asked for."""

    def __init__(
        self, target: Target, arch: Arch, binary: Binary, entry: VirtualAddress, *, returns: bool
    ) -> None:
        self._target = target
        self._arch = arch
        self._binary = binary
        self._entry = entry
        self._returns = returns

    def find(self, name: str, span: Span) -> Operand | None:
        """The argument of that name; None where no name is known at all.

        Raises `SpecError` for one that is not there, or where no program can read it.
        """
        if self._prototype is None:
            return None
        found = self._places.get(name)
        if isinstance(found, TargetError):
            raise spec_error(found.code, found.message, span, found.hint)
        if found is None:
            near = get_close_matches(name, self._places, n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else f"it is {self._prototype}"
            raise spec_error(
                "NO_BTFARG", f"{self._prototype.name} has no argument {name}", span, hint
            )
        return found

    def way_to_names(self) -> str:
        """What would make the arguments known by name."""
        package = self._target.binary_package(self._binary)
        more = f" or install {package}-dbgsym" if package else ""
        return f"names are in debug information: build it with -g{more}"

    @cached_property
    def _prototype(self) -> Prototype | None:
        return self._target.binary_prototype(self._binary, self._entry)

    @cached_property
    def _places(self) -> Mapping[str, Operand | TargetError]:
        assert self._prototype is not None
        return {
            parameter.name: place
            for parameter, place in argument_places(
                self._prototype, self._arch, returns=self._returns
            )
            if parameter.name
        }


def argument_places(
    prototype: Prototype, arch: Arch, *, returns: bool
) -> Iterator[tuple[Parameter, Operand | TargetError]]:
    """Each parameter with its place, or with the reason why no program can take it."""
    hidden = isinstance(prototype.returns, KStruct) and prototype.returns.size > _IN_MEMORY
    registers = 1 if hidden and arch.name == "x86_64" else 0
    floats, slots, lost = 0, 0, ""
    for parameter in prototype.parameters:
        ktype, scalar = parameter.type, scalar_of(parameter.type)
        if lost:
            yield parameter, _behind(parameter, lost)
        elif scalar is not None and registers < len(arch.arguments):
            registers += 1
            yield parameter, _operand(Argument(registers, scalar), parameter)
        elif scalar is not None:
            value = stack_argument(slots, scalar, arch, returns=returns)
            slots += 1
            yield parameter, _on_stack(parameter, value, arch)
        elif isinstance(ktype, KOther) and ktype.spelling.startswith(_FLOATS) and ktype.size <= 8:
            floats += 1
            slots += floats > _FLOAT_REGISTERS
            yield parameter, _float(parameter)
        else:
            lost = parameter.name or "one without a name"
            yield parameter, _by_value(parameter)


def stack_argument(slot: int, scalar: Scalar, arch: Arch, *, returns: bool) -> Value | None:
    """An argument behind those in registers, None where the convention does not say where."""
    if arch.first_stack_slot < 0:
        return None
    offset = 8 * (arch.first_stack_slot + slot)
    load = Load(RegisterValue(arch.stack_pointer), offset, scalar, Space.USER)
    # On return the stack pointer is another, and the slot may have been used for something else.
    return Kept(load) if returns else load


def untyped_stack_argument(number: int, *, arch: Arch, returns: bool) -> Operand | None:
    """Argument ``number`` of a function of a program if all before it are numbers or pointers."""
    slot = number - len(arch.arguments) - 1
    value = stack_argument(slot, X64, arch, returns=returns) if slot >= 0 else None
    return None if value is None else NumberOperand(value, None, Space.USER)


def _operand(value: Value, parameter: Parameter) -> Operand:
    return NumberOperand(value, parameter.type, Space.USER)


def _on_stack(parameter: Parameter, value: Value | None, arch: Arch) -> Operand | TargetError:
    if value is not None:
        return _operand(value, parameter)
    return TargetError(
        f"{parameter.name} is on the stack, and on {arch.name} its place there depends on the "
        "sizes of those before it",
        code="BAD_ARG_NUM",
        hint="$stackN reads the stack",
    )


def _float(parameter: Parameter) -> TargetError:
    return TargetError(
        f"{parameter.name} is a {parameter.type.spelling}: it is handed over in a vector register, "
        "which no BPF program can read",
        code="FLOAT_ARGUMENT",
        hint="probe a place where it is in memory, and take its bytes with +OFFSET(ADDRESS):x64",
    )


def _by_value(parameter: Parameter) -> TargetError:
    kind = "by value" if isinstance(parameter.type, (KStruct, KArray)) else "in several registers"
    return TargetError(
        f"{parameter.name} is a {parameter.type.spelling} handed over {kind}: what its members are "
        "decides where they are",
        code="STRUCT_ARGUMENT",
        hint="$arg1, $arg2, ... are the registers, $stackN is the stack; a pointer can be followed",
    )


def _behind(parameter: Parameter, lost: str) -> TargetError:
    what = "pointer" if isinstance(parameter.type, KPointer) else parameter.type.spelling
    return TargetError(
        f"{parameter.name} ({what}) comes after {lost}, whose place is not known, and neither is "
        "its own",
        code="STRUCT_ARGUMENT",
        hint="$arg1, $arg2, ... are the registers, $stackN is the stack",
    )
