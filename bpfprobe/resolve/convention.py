"""In what a value is handed over or returned: the classes of the calling conventions.

System V ABI for AMD64, 3.2.3; Procedure Call Standard for the Arm 64-bit Architecture, 5.9 and
6.8.2. Pure: types come from BTF or DWARF alike, with a function that gives a struct's members.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import TargetError
from bpfprobe.model.ktype import KArray, KFloat, KInt, KOther, KPointer, KStruct
from bpfprobe.model.noun import dataclass
from bpfprobe.resolve.leaves import leaves_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bpfprobe.model.arch import Arch
    from bpfprobe.model.ktype import KType
    from bpfprobe.resolve.leaves import Leaf, Members

NUMBER, VECTOR, VECTOR_ABOVE, PADDING, X87 = "IFV-X"
_MOST_IN_REGISTERS = 16
_MOST_OF_ONE_KIND = 4
"""Floats of one type that are each in a vector register of their own, on arm64."""


@dataclass(frozen=True, slots=True)
class Passing:
    """How a value goes from one function to another.

    ``registers`` has a letter for each eight bytes of it (on arm64 for each float, where all are
    floats): I in a register of numbers, F in one of vectors, V in the upper half of the same, - for
    padding, which is nowhere. Empty where none has any of it: then it is on the stack, or where a
    pointer says if ``by_reference``, or ``is_nothing``. ``returns_x87`` where it is returned on
    the stack of x87, which only goes for results.
    """

    registers: str = ""
    size: int = 8
    alignment: int = 8
    by_reference: bool = False
    is_nothing: bool = False
    returns_x87: bool = False


def passing_of(ktype: KType, members: Members, arch: Arch) -> Passing | None:
    """How a value of a type is handed over; None where what is known of it does not say."""
    if isinstance(ktype, KStruct) and ktype.by_reference:
        return Passing(by_reference=True)
    try:
        leaves = leaves_of(ktype, members)
    except TargetError as error:
        if error.code != "INCOMPLETE_TYPE":
            raise
        return None
    if leaves is None:
        return None
    return _system_v(ktype, leaves) if arch.name == "x86_64" else _aapcs64(ktype, leaves)


def _system_v(ktype: KType, leaves: Sequence[Leaf]) -> Passing | None:
    alignment = max((8, *(leaf.needs for leaf in leaves)))
    if isinstance(ktype, KStruct):
        alignment = max(alignment, ktype.alignment)
    on_stack = Passing(size=ktype.size, alignment=alignment)
    if _is_x87(ktype) or (
        isinstance(ktype, KOther) and ktype.base == "complex" and ktype.size > 16
    ):
        return Passing(size=ktype.size, alignment=16, returns_x87=True)
    if ktype.size > _MOST_IN_REGISTERS:
        # One vector may be in a register of 32 or 64 bytes, if the program was built for those.
        has_vectors = any(isinstance(leaf.type, KArray) and leaf.type.size > 16 for leaf in leaves)
        return None if has_vectors else on_stack
    classes = [""] * -(-ktype.size // 8)
    for leaf in leaves:
        if not leaf.is_aligned:
            return Passing(size=ktype.size)  # of a packed struct
        for eight in range(leaf.first_bit // 64, (leaf.last_bit) // 64 + 1):
            above = eight - leaf.first_bit // 64 > 0
            classes[eight] = _merged(classes[eight], _class_of(leaf, above=above))
    if not any(classes):
        return Passing(is_nothing=True)
    if X87 in classes:
        return Passing(size=ktype.size, alignment=16, returns_x87=set(classes) == {X87})
    for eight, kind in enumerate(classes):
        if kind == VECTOR_ABOVE and (eight == 0 or classes[eight - 1] != VECTOR):
            classes[eight] = VECTOR
    return Passing("".join(one or PADDING for one in classes), ktype.size, alignment)


def _class_of(leaf: Leaf, *, above: bool) -> str:
    """The class of eight bytes of a number, whose first ones they are unless ``above``."""
    if _is_x87(leaf.type):
        return X87
    if isinstance(leaf.type, KFloat) or (isinstance(leaf.type, KOther) and leaf.type.size <= 8):
        return VECTOR
    if isinstance(leaf.type, (KOther, KArray)):
        return VECTOR_ABOVE if above and not _is_complex(leaf.type) else VECTOR
    return NUMBER


def _merged(one: str, other: str) -> str:
    """The class of what two parts of a struct or union share."""
    for kind in (one, other):
        if not kind or one == other:
            return one or other
    for kind in (NUMBER, X87):
        if kind in (one, other):
            return kind
    return VECTOR


def _is_x87(ktype: KType) -> bool:
    return isinstance(ktype, KOther) and ktype.base == "long double"


def _is_complex(ktype: KType) -> bool:
    return isinstance(ktype, KOther) and ktype.base == "complex"


def _aapcs64(ktype: KType, leaves: Sequence[Leaf]) -> Passing:
    natural = max((8, *(leaf.needs for leaf in leaves)))
    alignment = min(natural, 16)
    if ktype.size == 0:
        return Passing(is_nothing=True)
    floats = _floats_of_one_kind(ktype, leaves)
    if floats:
        return Passing(VECTOR * floats, ktype.size, alignment)
    if ktype.size > _MOST_IN_REGISTERS:
        return Passing(by_reference=True)
    return Passing(NUMBER * -(-ktype.size // 8), ktype.size, alignment)


def _floats_of_one_kind(ktype: KType, leaves: Sequence[Leaf]) -> int:
    """How many floats, or short vectors, a value is made of; 0 where it is of anything else."""
    kinds = {_kind_of_float(leaf.type) for leaf in leaves}
    size = next(iter(kinds))[1] if len(kinds) == 1 else 0
    if not size or ktype.size % size:
        return 0
    count = ktype.size // size
    starts = {
        leaf.first_bit // 8 + n * size
        for leaf in leaves
        for n in range((leaf.last_bit + 1 - leaf.first_bit) // 8 // size)
    }
    return count if count <= _MOST_OF_ONE_KIND and len(starts) == count else 0


def _kind_of_float(ktype: KType) -> tuple[str, int]:
    """What kind of float a number is, and in how many bytes; ("", 0) for any other."""
    if isinstance(ktype, KFloat):
        return "float", ktype.size
    if isinstance(ktype, KArray):
        return ("vector", ktype.size) if ktype.size in (8, 16) else ("", 0)
    if isinstance(ktype, KOther) and ktype.is_float:
        return "float", ktype.size // 2 if ktype.base == "complex" else ktype.size
    return "", 0


def is_number(ktype: KType) -> bool:
    """Whether a type is one register of numbers on every processor."""
    return isinstance(ktype, KPointer) or (isinstance(ktype, KInt) and 0 < ktype.size <= 8)
