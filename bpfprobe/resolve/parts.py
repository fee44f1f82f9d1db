"""A value that is spread over registers, each with a few bytes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.model.ktype import KFloat, KStruct
from bpfprobe.model.noun import dataclass
from bpfprobe.model.scalar import X64
from bpfprobe.model.value import BinaryOperation, Constant, Kept, RegisterValue, View
from bpfprobe.resolve.leaves import sole_leaf
from bpfprobe.resolve.operand import ByValueOperand, Operand, scalar_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bpfprobe.model.arch import Arch
    from bpfprobe.model.ktype import KType, Parameter
    from bpfprobe.model.value import Space, Value
    from bpfprobe.resolve.leaves import Members

_GENERAL_X86_64 = (
    "ax", "dx", "cx", "bx", "si", "di", "bp", "sp",
    "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
)  # fmt: skip
"""Registers in the order of DWARF's numbers (System V ABI for AMD64, figure 3.36)."""


@dataclass(frozen=True, slots=True)
class Part:
    """``size`` bytes of a value, from ``offset``: in ``register``, "" for one of vectors or none"""

    register: str
    offset: int
    size: int


def register_of(number: int, arch: Arch) -> str:
    """Return the register of numbers that DWARF counts so, "" for one of another kind."""
    if arch.name == "x86_64":
        return _GENERAL_X86_64[number] if number < len(_GENERAL_X86_64) else ""
    return f"regs[{number}]" if number < 31 else ""


def parts_named(parameter: Parameter, arch: Arch) -> tuple[Part, ...]:
    """Return where the debug information says that a parameter is, none where it does not."""
    size = parameter.type.size
    if parameter.register >= 0:
        return (Part(register_of(parameter.register, arch), 0, size),)
    parts: list[Part] = []
    at = 0
    for number, length in parameter.pieces:
        parts.append(Part(register_of(number, arch) if number >= 0 else "", at, length))
        at += length
    return tuple(parts)


def in_parts(
    parts: Sequence[Part],
    ktype: KType,
    members: Members,
    names: Callable[[str], str],
    space: Space,
    *,
    returns: bool,
) -> Operand | None:
    """Return the operand for a struct whose bytes are in registers; None where one has too much."""
    eights: list[Value | None] = []
    for first in range(0, ktype.size, 8):
        here = [part for part in parts if first <= part.offset < first + 8]
        if any(part.offset + part.size > first + 8 for part in here):
            return None
        value: Value | None = None
        for part in here:
            if not part.register:
                value = None
                break
            register: Value = RegisterValue(part.register)
            bits = _placed(Kept(register) if returns else register, part, first)
            value = bits if value is None else BinaryOperation("|", value, bits, X64)
        eights.append(value)
    used = [names(part.register) for part in parts if part.register]
    where = f"in {' and '.join(dict.fromkeys(used))}"
    if len(used) < len(parts):
        where += " and vector registers"
    sole = sole_leaf(ktype, members) if isinstance(ktype, KStruct) else None
    return ByValueOperand(tuple(eights), ktype, space, where, sole=sole.type if sole else None)


def _placed(value: Value, part: Part, first: int) -> Value:
    """Return the bytes of a part where they stand in their eight."""
    if part.size < 8:
        value = BinaryOperation("&", value, Constant((1 << 8 * part.size) - 1), X64)
    shift = 8 * (part.offset - first)
    return BinaryOperation("<<", value, Constant(shift), X64) if shift else value


def number_in(register: str, ktype: KType, *, returns: bool) -> Value | None:
    """Return a number of a type that is in a register; None for what is not a number."""
    scalar = scalar_of(ktype)
    if scalar is None or isinstance(ktype, KFloat):
        return None
    value: Value = RegisterValue(register)
    if returns:
        value = Kept(value)
    return View(value, scalar)
