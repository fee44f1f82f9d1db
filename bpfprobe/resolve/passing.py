"""Where the arguments of a function of a program are, by the types of its parameters.

The calling conventions say it: System V ABI for AMD64, 3.2.3; Procedure Call Standard for the Arm
64-bit Architecture, 6.8.2. Where the debug information names the register of a parameter, that is
where it is: compilers change the conventions of functions that only they call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import TargetError
from bpfprobe.model.ktype import KArray, KFloat, KInt, KOther, KPointer, KStruct
from bpfprobe.model.noun import replace
from bpfprobe.model.scalar import F32, F64, X64, Scalar
from bpfprobe.model.value import Argument, Kept, Load, RegisterValue, Space, Value
from bpfprobe.resolve.operand import MemoryOperand, NumberOperand, Operand, scalar_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfprobe.model.arch import Arch
    from bpfprobe.model.ktype import KType, Parameter, Prototype

_FLOAT_REGISTERS = 8
_IN_MEMORY = 16
"""Bytes. A larger struct is returned where a hidden first argument points, on x86-64."""

_REGISTERS_HINT = "$arg1, $arg2, ... are what is in the registers"


def argument_places(
    prototype: Prototype, arch: Arch, *, returns: bool
) -> Iterator[tuple[Parameter, Operand | TargetError]]:
    """Each parameter with its place, or with the reason why no program can take it."""
    believed = _believed(prototype, arch)
    places = _Places(prototype, arch, returns=returns)
    for n, parameter in enumerate(prototype.parameters):
        if n >= believed and parameter.register not in arch.dwarf_arguments:
            yield parameter, _removed(parameter, prototype.name)
        else:
            yield parameter, places.next(parameter)


class _Places:
    """Goes through the parameters of a function and gives each the place that is next for it."""

    def __init__(self, prototype: Prototype, arch: Arch, *, returns: bool) -> None:
        self._arch = arch
        self._is_x86 = arch.name == "x86_64"
        self._returns = returns
        self.numbers = int(self._is_x86 and _is_returned_in_memory(prototype.returns))
        self._floats = 0
        self._slots = 0
        self._lost = _lost_by_return(prototype.returns) if self._is_x86 else ""

    def next(self, parameter: Parameter) -> Operand | TargetError:
        """The place of the next parameter."""
        ktype, scalar = parameter.type, scalar_of(parameter.type)
        if parameter.register in self._arch.dwarf_arguments and scalar is not None:
            self.numbers = self._arch.dwarf_arguments.index(parameter.register) + 1
            return _operand(Argument(self.numbers, scalar), parameter)
        if self._lost:
            return _behind(parameter, self._lost)
        if scalar is not None:
            return self._number(parameter, scalar)
        if isinstance(ktype, KFloat):
            return self._float(parameter, ktype)
        if isinstance(ktype, KStruct) and ktype.passing and self._is_x86:
            return self._struct(parameter, ktype)
        if self._is_x86 and ktype.size == 16 and _is_long_double(ktype):
            self._take_slots(16, aligned=True)
        elif self._is_x86 and ktype.size == 16 and isinstance(ktype, KInt):
            self._take("II", 16, aligned=True)
        else:
            name = parameter.name or "one without a name"
            self._lost = f"comes after {name}, whose place is not known, and neither is its own"
        return _by_value(parameter)

    def _number(self, parameter: Parameter, scalar: Scalar) -> Operand | TargetError:
        if self.numbers < len(self._arch.arguments):
            self.numbers += 1
            return _operand(Argument(self.numbers, scalar), parameter)
        return self._on_stack(parameter, scalar)

    def _float(self, parameter: Parameter, ktype: KFloat) -> Operand | TargetError:
        if self._floats < _FLOAT_REGISTERS:
            self._floats += 1
            return _in_vector(parameter)
        return self._on_stack(parameter, F32 if ktype.size == 4 else F64)

    def _on_stack(self, parameter: Parameter, scalar: Scalar) -> Operand | TargetError:
        value = stack_argument(self._slots, scalar, self._arch, returns=self._returns)
        self._slots += 1
        if value is not None:
            return _operand(value, parameter)
        return TargetError(
            f"{parameter.name} is on the stack, and on {self._arch.name} its place there depends "
            "on the sizes of those before it",
            code="BAD_ARG_NUM",
            hint="$stackN reads the stack",
        )

    def _struct(self, parameter: Parameter, ktype: KStruct) -> Operand | TargetError:
        """A struct by value: on the stack, where its address says, or in registers."""
        if ktype.passing == "R":
            place = self._number(parameter, X64)
            if isinstance(place, NumberOperand):
                return MemoryOperand(place.value, 0, Space.USER, ktype)
            return place
        first = self._slots
        if self._take(ktype.passing, ktype.size) or self._returns:
            return _by_value(parameter)
        offset = 8 * (self._arch.first_stack_slot + first)
        return MemoryOperand(RegisterValue(self._arch.stack_pointer), offset, Space.USER, ktype)

    def _take(self, passing: str, size: int, *, aligned: bool = False) -> bool:
        """Registers for all of it, or room on the stack; whether it is in registers."""
        numbers = self.numbers + passing.count("I")
        floats = self._floats + passing.count("F")
        fits = numbers <= len(self._arch.arguments) and floats <= _FLOAT_REGISTERS
        if passing == "M" or not fits:
            self._take_slots(size, aligned=aligned)
            return False
        self.numbers, self._floats = numbers, floats
        return True

    def _take_slots(self, size: int, *, aligned: bool) -> None:
        self._slots += self._slots % 2 if aligned else 0  # the first slot is where 16 divides
        self._slots += -(-size // 8)


def _believed(prototype: Prototype, arch: Arch) -> int:
    """How many parameters, from the first, are where the convention puts them.

    A compiler may change what a function is handed where it knows all who call it. The registers
    that the debug information names bear out what comes before them, or belie it all.
    """
    places = _Places(prototype, arch, returns=False)
    open_questions: list[tuple[int, bool]] = []
    for n, parameter in enumerate(prototype.parameters):
        if parameter.is_removed:
            return 0
        before = places.numbers
        place = places.next(replace(parameter, register=-1))
        if parameter.is_unplaced:
            open_questions.append((n, places.numbers > before))
        elif parameter.register in arch.dwarf_arguments and isinstance(place, NumberOperand):
            number = arch.dwarf_arguments.index(parameter.register) + 1
            if not isinstance(place.value, Argument) or place.value.number != number:
                return 0
            # Without those before that take registers, this one would be in another.
            open_questions = [(at, takes) for at, takes in open_questions if not takes]
    return min((at for at, _ in open_questions), default=len(prototype.parameters))


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


def _is_returned_in_memory(ktype: KType) -> bool:
    """Whether a hidden first argument says where the result is to be put."""
    if not isinstance(ktype, KStruct):
        return False
    return ktype.passing in ("M", "R") or (not ktype.passing and ktype.size > _IN_MEMORY)


def _lost_by_return(ktype: KType) -> str:
    """Why no argument has a place that is known: whether a hidden one comes first is not."""
    if not isinstance(ktype, KStruct) or ktype.passing or ktype.size > _IN_MEMORY:
        return ""
    return f"has no place that is known, as it is not known how {ktype.spelling} is returned"


def _is_long_double(ktype: KType) -> bool:
    return isinstance(ktype, KOther) and ktype.spelling == "long double"


def _operand(value: Value, parameter: Parameter) -> Operand:
    return NumberOperand(value, parameter.type, Space.USER)


def _removed(parameter: Parameter, function: str) -> TargetError:
    if parameter.is_removed:
        cause = f"the compiler took {parameter.name} away from {function}, as all its callers agree"
    elif parameter.is_unplaced:
        cause = (
            f"the debug information says nowhere that {parameter.name} is: the compiler may have "
            f"taken it away from {function}"
        )
    else:
        cause = (
            f"the compiler changed what {function} is handed, and its debug information does not "
            f"say which register has {parameter.name}"
        )
    return TargetError(cause, code="NO_BTFARG", hint=_REGISTERS_HINT)


def _in_vector(parameter: Parameter) -> TargetError:
    return TargetError(
        f"{parameter.name} is a {parameter.type.spelling}: it is handed over in a vector register, "
        "which no BPF program can read",
        code="FLOAT_ARGUMENT",
        hint="probe a place where it is in memory: +OFFSET(ADDRESS):f64",
    )


def _by_value(parameter: Parameter) -> TargetError:
    ktype = parameter.type
    if isinstance(ktype, KStruct) and not ktype.size and not ktype.passing:
        return TargetError(
            f"{parameter.name} is a {ktype.spelling}, of which the debug information has "
            "no more than the name: how it is handed over is not known",
            code="STRUCT_ARGUMENT",
            hint=f"Clang has it all with -fstandalone-debug; {_REGISTERS_HINT}",
        )
    kind = "by value" if isinstance(parameter.type, (KStruct, KArray)) else "in several registers"
    return TargetError(
        f"{parameter.name} is a {parameter.type.spelling} handed over {kind}: what its members are "
        "decides where they are",
        code="STRUCT_ARGUMENT",
        hint=f"{_REGISTERS_HINT}, $stackN is the stack; a pointer can be followed",
    )


def _behind(parameter: Parameter, lost: str) -> TargetError:
    what = "pointer" if isinstance(parameter.type, KPointer) else parameter.type.spelling
    return TargetError(
        f"{parameter.name} ({what}) {lost}",
        code="STRUCT_ARGUMENT",
        hint=f"{_REGISTERS_HINT}, $stackN is the stack",
    )
