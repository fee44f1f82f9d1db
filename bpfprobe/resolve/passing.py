"""Where the arguments of a function are, by the types of its parameters.

The calling conventions say it: System V ABI for AMD64, 3.2.3; Procedure Call Standard for the Arm
64-bit Architecture, 6.8.2. Where the debug information names the register of a parameter, that is
where it is: compilers change the conventions of functions that only they call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import TargetError
from bpfprobe.model.ktype import Abi, KFloat, KInt, KOther, KPointer, KStruct
from bpfprobe.model.noun import replace
from bpfprobe.model.scalar import F32, F64, X64
from bpfprobe.model.value import (
    Argument,
    BinaryOperation,
    Constant,
    Kept,
    Load,
    RegisterValue,
    Space,
)
from bpfprobe.resolve.convention import NUMBER, VECTOR, Passing, is_number, passing_of
from bpfprobe.resolve.leaves import sole_leaf
from bpfprobe.resolve.operand import (
    ByValueOperand,
    MemoryOperand,
    NumberOperand,
    Operand,
    scalar_of,
    text_space,
)
from bpfprobe.resolve.parts import in_parts, parts_named
from bpfprobe.resolve.rust_passing import is_rust_result_in_memory, rust_aggregate, rust_passing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bpfprobe.model.arch import Arch
    from bpfprobe.model.ktype import KType, Parameter, Prototype
    from bpfprobe.model.scalar import Scalar
    from bpfprobe.model.value import Value
    from bpfprobe.resolve.leaves import Members

_FLOAT_REGISTERS = 8
_MOST_KEPT = 128
"""Bytes of a struct on the stack of which a return probe may keep any."""

_REGISTERS_HINT = "registers go by their own names, as %di"


def argument_places(
    prototype: Prototype, arch: Arch, members: Members, *, space: Space, returns: bool
) -> Iterator[tuple[Parameter, Operand | TargetError]]:
    """Each parameter with its place, or with the reason why no program can take it.

    ``space`` is that of the function, ``members`` gives those of a struct.
    """
    if prototype.abi in (Abi.GO, Abi.GO_STACK, Abi.GO_GENERIC):
        from bpfprobe.resolve.go_passing import go_places

        yield from go_places(prototype, arch, members, space=space, returns=returns)
        return
    believed = _believed(prototype, arch, members)
    places = _Places(prototype, arch, members, space=space, returns=returns)
    for n, parameter in enumerate(prototype.parameters):
        if n >= believed and not _is_named(parameter, arch):
            yield parameter, _removed(parameter, prototype.name)
        else:
            yield parameter, places.next(parameter)


class _Places:
    """Goes through the parameters of a function and gives each the place that is next for it."""

    def __init__(
        self, prototype: Prototype, arch: Arch, members: Members, *, space: Space, returns: bool
    ) -> None:
        self._arch = arch
        self._is_x86 = arch.name == "x86_64"
        self._members = members
        self._space = space
        self._returns = returns
        self._lost = ""
        self.numbers = 0
        self._floats = 0
        self._slots = 0
        self._is_rust = prototype.abi is Abi.RUST
        if self._is_x86:
            self._begin_after_result(prototype)

    def _begin_after_result(self, prototype: Prototype) -> None:
        """Leave out the hidden first argument that says where a large result is to be put."""
        ktype = prototype.returns
        if is_number(ktype) or _is_nothing(ktype):
            return
        if self._is_rust:
            in_memory = is_rust_result_in_memory(ktype, self._members)
            self.numbers = int(in_memory or 0)
            if in_memory is None:
                self._lost = (
                    f"has no place that is known, as Rust has several ways to return "
                    f"{ktype.spelling}, and its debug information says where none is"
                )
            return
        passing = passing_of(ktype, self._members, self._arch)
        if passing is None:
            self._lost = (
                f"has no place that is known, as it is not known how {ktype.spelling} is returned"
            )
        elif is_returned_in_memory(passing):
            self.numbers = 1

    def next(self, parameter: Parameter) -> Operand | TargetError:
        """The place of the next parameter."""
        name = parameter.name or "one without a name"
        # What is in memory at the stack pointer, as a struct with nothing in it, has no address.
        by_reference = parameter.by_reference and parameter.register in (
            -1,
            *self._arch.dwarf_arguments,
        )
        is_one = by_reference or is_number(parameter.type)
        if parameter.register in self._arch.dwarf_arguments and is_one:
            self.numbers = self._arch.dwarf_arguments.index(parameter.register)
        elif self._is_rust and not is_one and (named := self._named(parameter)) is not None:
            self._lost = self._lost or f"comes after {name}, which Rust has no fixed place for"
            return named
        elif self._lost:
            return _behind(parameter, self._lost)
        if by_reference:
            return self._at(self._next_number(X64), 0, parameter)
        if is_number(parameter.type):
            return self._number(parameter)
        if self._is_rust:
            passing = rust_passing(parameter.type, self._members, self._arch)
            if passing is None or len(passing.registers) > len(self._arch.arguments) - self.numbers:
                self._lost = f"comes after {name}, which Rust has no fixed place for"
                return rust_aggregate(parameter)
        else:
            passing = passing_of(parameter.type, self._members, self._arch)
        if passing is None:
            self._lost = f"comes after {name}, whose place is not known, and neither is its own"
            return _unknown(parameter, self._arch)
        if passing.is_nothing:
            return nothing_handed(parameter)
        if passing.by_reference:
            return self._at(self._next_number(X64), 0, parameter)
        registers = self._take(passing)
        if registers is not None:
            return self._in_registers(parameter, passing, registers)
        return self._stacked(parameter, passing)

    def _named(self, parameter: Parameter) -> Operand | None:
        """Return a struct that is where the debug information says, None where it does not."""
        parts = parts_named(parameter, self._arch)
        if not parts or not all(part.register in self._arch.arguments for part in parts):
            return None
        if sum(part.size for part in parts) != parameter.type.size:
            return None
        return in_parts(
            parts,
            parameter.type,
            self._members,
            lambda one: register_name(self._arch, one),
            self._space,
            returns=self._returns,
        )

    def _number(self, parameter: Parameter) -> Operand:
        scalar = scalar_of(parameter.type)
        assert scalar is not None
        return number_operand(self._next_number(scalar), parameter.type, self._space)

    def _next_number(self, scalar: Scalar) -> Value:
        if self.numbers < len(self._arch.arguments):
            self.numbers += 1
            return Argument(self.numbers, scalar)
        self._slots += 1
        slot = self._slots - 1
        return stack_argument(slot, scalar, self._arch, self._space, returns=self._returns)

    def _take(self, passing: Passing) -> tuple[int, ...] | None:
        """The registers of numbers for a value, None where not all of it fits into registers."""
        if not passing.registers:
            return None
        wanted = passing.registers.count(NUMBER)
        first = self.numbers
        if not self._is_x86 and wanted and passing.alignment == 16:
            first += first % 2
        floats = self._floats + passing.registers.count(VECTOR)
        if first + wanted <= len(self._arch.arguments) and floats <= _FLOAT_REGISTERS:
            self.numbers, self._floats = first + wanted, floats
            return tuple(range(first + 1, first + wanted + 1))
        if not self._is_x86:  # none of those that follow are put into what is left
            if wanted:
                self.numbers = len(self._arch.arguments)
            else:
                self._floats = _FLOAT_REGISTERS
        return None

    def _in_registers(
        self, parameter: Parameter, passing: Passing, registers: tuple[int, ...]
    ) -> Operand | TargetError:
        if not registers:
            return in_vector(parameter)
        values = [Argument(number) for number in registers]
        names = [register_name(self._arch, self._arch.arguments[n - 1]) for n in registers]
        return by_value(parameter.type, passing, values, names, self._members, self._space)

    def _stacked(self, parameter: Parameter, passing: Passing) -> Operand | TargetError:
        """The place of what is on the stack, after those that are there already."""
        ktype = parameter.type
        self._slots += -self._slots % (passing.alignment // 8)
        first = self._slots
        self._slots += -(-passing.size // 8)
        if isinstance(ktype, KFloat):
            scalar = F32 if ktype.size == 4 else F64
            value = stack_argument(first, scalar, self._arch, self._space, returns=self._returns)
            return NumberOperand(value, ktype, self._space)
        if isinstance(ktype, KOther):
            return _wide_float(parameter, 8 * (self._arch.first_stack_slot + first))
        if not self._returns and isinstance(ktype, KStruct):
            pointer = RegisterValue(self._arch.stack_pointer)
            return self._at(pointer, 8 * (self._arch.first_stack_slot + first), parameter)
        if passing.size > _MOST_KEPT:
            return _too_large_to_keep(parameter)
        values = [
            stack_argument(n, X64, self._arch, self._space, returns=self._returns)
            for n in range(first, self._slots)
        ]
        whole = replace(passing, registers=NUMBER * len(values))
        return by_value(ktype, whole, values, ["the stack"], self._members, self._space)

    def _at(self, base: Value, offset: int, parameter: Parameter) -> Operand:
        return in_memory(base, offset, parameter.type, self._space)


def number_operand(value: Value, ktype: KType, space: Space) -> NumberOperand:
    """A number or a pointer that is at hand, at a place in ``space``."""
    into = space
    if space is Space.KERNEL and isinstance(ktype, KPointer):
        is_text = isinstance(ktype.target, (KInt, KOther))
        into = Space.USER if ktype.user else text_space(space, ktype) if is_text else space
    return NumberOperand(value, ktype, into)


def in_memory(base: Value, offset: int, ktype: KType, space: Space) -> MemoryOperand:
    """A struct by value that is in memory, ``offset`` bytes after ``base``."""
    if not isinstance(ktype, KStruct) or ktype.in_program:
        return MemoryOperand(base, offset, space, ktype)
    if offset:  # what is checked against the kernel's types begins where the struct does
        base = BinaryOperation("+", base, Constant(offset), X64)
    return MemoryOperand(base, 0, space, ktype, ktype.name or f"type_{ktype.type_id}")


def by_value(
    ktype: KType,
    passing: Passing,
    values: Sequence[Value],
    names: Sequence[str],
    members: Members,
    space: Space,
) -> ByValueOperand:
    """What is in registers, ``values`` being those of numbers one after another."""
    left = iter(values)
    eights = tuple(next(left) if kind == NUMBER else None for kind in passing.registers)
    sole = sole_leaf(ktype, members) if isinstance(ktype, KStruct) else None
    where = f"in {' and '.join(names)}"
    if VECTOR in passing.registers:
        where += " and vector registers"
    return ByValueOperand(eights, ktype, space, where, sole=sole.type if sole else None)


def is_returned_in_memory(passing: Passing) -> bool:
    """Whether the caller says where the result is to be put."""
    if passing.is_nothing or passing.returns_x87:
        return False
    return passing.by_reference or not passing.registers


def _is_nothing(ktype: KType) -> bool:
    """Whether a result is void, which is all that has no size but a struct or what is unknown."""
    is_other = isinstance(ktype, KOther) and not ktype.is_unknown
    return is_other and not ktype.size


def register_name(arch: Arch, member: str) -> str:
    """What a register is called in a description, by its member of ``struct pt_regs``."""
    return "%" + next(name for name, of_it in arch.registers.items() if of_it == member)


def _is_named(parameter: Parameter, arch: Arch) -> bool:
    """Whether the debug information names registers that arguments are in."""
    numbers = [parameter.register] if not parameter.pieces else [n for n, _ in parameter.pieces]
    return all(number in arch.dwarf_arguments for number in numbers)


def _believed(prototype: Prototype, arch: Arch, members: Members) -> int:
    """How many parameters, from the first, are where the convention puts them.

    A compiler may change what a function is handed where it knows all who call it. The registers
    that the debug information names bear out what comes before them, or belie it all.
    """
    if prototype.is_changed:
        return 0
    if not any(p.is_unplaced or p.is_removed or p.register >= 0 for p in prototype.parameters):
        return len(prototype.parameters)
    places = _Places(prototype, arch, members, space=Space.USER, returns=False)
    open_questions: list[tuple[int, bool]] = []
    for n, parameter in enumerate(prototype.parameters):
        if parameter.is_removed:
            return 0
        before = places.numbers
        place = places.next(replace(parameter, register=-1))
        if parameter.is_unplaced:
            open_questions.append((n, places.numbers > before))
        elif parameter.register in arch.dwarf_arguments and (
            isinstance(place, NumberOperand) or parameter.by_reference
        ):
            number = arch.dwarf_arguments.index(parameter.register) + 1
            if _argument_number(place) != number:
                return 0
            # Without those before that take registers, this one would be in another.
            open_questions = [(at, takes) for at, takes in open_questions if not takes]
    return min((at for at, _ in open_questions), default=len(prototype.parameters))


def _argument_number(place: Operand | TargetError) -> int:
    """Return which register of numbers has it, or its address, from 1; 0 for none."""
    value: Value | None = None
    if isinstance(place, NumberOperand):
        value = place.value
    elif isinstance(place, MemoryOperand):
        value = place.base
    return value.number if isinstance(value, Argument) else 0


def stack_argument(slot: int, scalar: Scalar, arch: Arch, space: Space, *, returns: bool) -> Value:
    """The value of an argument after those in registers, by its slot of eight bytes."""
    offset = 8 * (arch.first_stack_slot + slot)
    load = Load(RegisterValue(arch.stack_pointer), offset, scalar, space)
    # On return the stack pointer is another, and the slot may have been used for something else.
    return Kept(load) if returns else load


def untyped_argument(number: int, *, arch: Arch, space: Space, returns: bool) -> Operand | None:
    """Argument ``number``, after those in registers, if all before it are numbers or pointers."""
    slot = number - len(arch.arguments) - 1
    if slot < 0:
        return None
    value = stack_argument(slot, X64, arch, space, returns=returns)
    into = Space.ANY if space is Space.KERNEL else space
    return NumberOperand(value, None, into, is_argument=True)


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


def in_vector(parameter: Parameter, passed: str = "it is handed over") -> TargetError:
    """Return why a float cannot be taken."""
    return TargetError(
        f"{parameter.name} is a {parameter.type.spelling}: {passed} in a vector register, "
        "which no BPF program can read",
        code="FLOAT_ARGUMENT",
        hint="probe a place where it is in memory: +OFFSET(ADDRESS):f64",
    )


def nothing_handed(parameter: Parameter) -> TargetError:
    """Return why a struct of no members cannot be taken."""
    return TargetError(
        f"{parameter.name} is a {parameter.type.spelling} with nothing in it, so nothing is "
        "handed over",
        code="STRUCT_ARGUMENT",
        hint="leave it out",
    )


def _wide_float(parameter: Parameter, offset: int) -> TargetError:
    return TargetError(
        f"{parameter.name} is a {parameter.type.spelling} on the stack, and floats here are f32 "
        "and f64",
        code="FLOAT_ARGUMENT",
        hint=f"its bytes are +{offset}(%sp):x64[2] on entry",
    )


def _too_large_to_keep(parameter: Parameter) -> TargetError:
    return TargetError(
        f"{parameter.name} is a {parameter.type.spelling} of {parameter.type.size} bytes on the "
        f"stack, where it may have changed by the return; {_MOST_KEPT} bytes can be kept from "
        "entry",
        code="STRUCT_ARGUMENT",
        hint="take it on entry",
    )


def _unknown(parameter: Parameter, arch: Arch) -> TargetError:
    ktype = parameter.type
    if isinstance(ktype, KOther) and ktype.is_unknown:
        names = ", ".join(register_name(arch, member) for member in arch.arguments)
        return TargetError(
            f"{parameter.name} is of a kind of type that is newer than this bpfprobe "
            f"({ktype.spelling}): how it is handed over is not known",
            code="STRUCT_ARGUMENT",
            hint=f"{names} are the registers of arguments, $stackN is the stack",
        )
    if isinstance(ktype, KStruct) and not ktype.size:
        return TargetError(
            f"{parameter.name} is a {ktype.spelling}, of which the debug information has "
            "no more than the name: how it is handed over is not known",
            code="STRUCT_ARGUMENT",
            hint=f"Clang has it all with -fstandalone-debug; {_REGISTERS_HINT}",
        )
    return TargetError(
        f"{parameter.name} is a {ktype.spelling} handed over by value, and what is known of its "
        "type does not say where",
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
