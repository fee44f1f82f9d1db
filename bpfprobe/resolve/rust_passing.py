"""How Rust hands values over, as far as it is the same for its own functions and ``extern "C"``.

Debug information does not tell the two apart, and Rust promises nothing of its own convention. A
number, a struct of nothing but one, and a reference with a length are the same in both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import TargetError
from bpfprobe.model.ktype import KFloat, KInt, KPointer, KStruct
from bpfprobe.resolve.convention import NUMBER, Passing, is_number, passing_of
from bpfprobe.resolve.leaves import leaves_of

if TYPE_CHECKING:
    from bpfprobe.model.arch import Arch
    from bpfprobe.model.ktype import KType, Parameter
    from bpfprobe.resolve.leaves import Leaf, Members

_IN_TWO_REGISTERS = 16


def rust_passing(ktype: KType, members: Members, arch: Arch) -> Passing | None:
    """Return how a value of a type is handed over; None where Rust leaves that open."""
    if isinstance(ktype, KFloat):
        return passing_of(ktype, members, arch)
    if not isinstance(ktype, KStruct) or ktype.is_union:
        return None
    if not ktype.size:
        return Passing(is_nothing=True)
    if is_fat_pointer(ktype, members):
        return Passing(NUMBER * 2, 16)
    leaf = _sole(ktype, members)
    return passing_of(leaf.type, members, arch) if leaf is not None else None


def is_rust_result_in_memory(ktype: KType, members: Members) -> bool | None:
    """Return whether the caller says where to put a result; None where that is not known."""
    if is_number(ktype) or isinstance(ktype, KFloat):
        return False
    if isinstance(ktype, KInt) or not ktype.size:
        return None if ktype.size else False
    if ktype.size <= 8:
        return False
    if ktype.size > _IN_TWO_REGISTERS:
        return True
    # What else has two words goes through registers or memory, by its members and the version.
    return False if isinstance(ktype, KStruct) and is_fat_pointer(ktype, members) else None


def rust_return(ktype: KStruct, members: Members, arch: Arch) -> Passing | None:
    """Return how a struct is returned; None where Rust leaves that open."""
    if ktype.size > _IN_TWO_REGISTERS:
        return Passing(size=ktype.size)
    return rust_passing(ktype, members, arch)


def rust_aggregate(parameter: Parameter) -> TargetError:
    """Return why a struct, an enum or an array cannot be taken."""
    return TargetError(
        f"{parameter.name} is a {parameter.type.spelling} handed over by value: where that is, "
        "Rust leaves to the compiler, and its debug information does not say it",
        code="STRUCT_ARGUMENT",
        hint="registers go by their own names, as %di; a reference can be followed; rustc -O says "
        "more",
    )


def is_fat_pointer(ktype: KStruct, members: Members) -> bool:
    """Return whether a struct is a reference or pointer with a length or a table of methods."""
    if not ktype.name.startswith(("&", "*const ", "*mut ")) or ktype.size != 16:
        return False
    leaves = _leaves(ktype, members)
    if leaves is None or [leaf.first_bit for leaf in leaves] != [0, 64]:
        return False
    return isinstance(leaves[0].type, KPointer) and is_number(leaves[1].type)


def _sole(ktype: KStruct, members: Members) -> Leaf | None:
    """Return the one number that a struct has in all its bytes, None for others."""
    leaves = _leaves(ktype, members)
    if leaves is None or len(leaves) != 1 or leaves[0].bits != 8 * ktype.size:
        return None  # of an enum with data no member is known, though it has bytes
    plain = is_number(leaves[0].type) or isinstance(leaves[0].type, KFloat)
    return leaves[0] if plain else None


def _leaves(ktype: KStruct, members: Members) -> tuple[Leaf, ...] | None:
    try:
        return leaves_of(ktype, members)
    except TargetError as error:
        if error.code != "INCOMPLETE_TYPE":
            raise
        return None
