"""The numbers that a struct is made of, through all that it contains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import TargetError
from bpfprobe.model.ktype import KArray, KFloat, KInt, KOther, KPointer, KStruct
from bpfprobe.model.noun import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bpfprobe.model.ktype import KType, Member

    Members = Callable[[KStruct], Iterable[Member]]

_MOST, _DEEPEST = 16384, 40
_MOST_ALIGNED = 64
_ADDRESS = KPointer("void *", KOther("void"))
_MOST_ELEMENTS = 16
"""Those that follow in an array are of the same kind, and no register has any of them."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A number in a struct: its type, and which bits of the struct it has.

    ``alignment`` is what the source asks for in a member, 0 for no more than the type needs;
    ``at_most`` what a packed struct leaves of that.
    """

    type: KType
    first_bit: int
    bits: int
    is_bit_field: bool = False
    alignment: int = 0
    at_most: int = _MOST_ALIGNED

    @property
    def last_bit(self) -> int:
        """The last bit that is its own."""
        return self.first_bit + self.bits - 1

    @property
    def needs(self) -> int:
        """The alignment in bytes that its struct has for its sake."""
        return max(self.wants, self.alignment)

    @property
    def wants(self) -> int:
        """The alignment that its type gives to the struct."""
        own = 1 if self.is_bit_field else _natural(self.type)
        return min(own, self.at_most)

    @property
    def is_aligned(self) -> bool:
        """Whether it is where its type wants it, as all are but in a packed struct."""
        return self.is_bit_field or self.first_bit % (8 * _natural(self.type)) == 0


def leaves_of(ktype: KType, members: Members) -> tuple[Leaf, ...] | None:
    """The numbers in a value of a type; None where a part of it is of a type that is not known.

    What ``members`` raises for a struct of which no more than the name is known goes through.
    Raises `TargetError` (BAD_DWARF, BAD_BTF) where a number is outside the value.
    """
    try:
        found = _Walk(members).leaves(ktype, 0)
    except _UnknownError:
        return None
    if any(leaf.first_bit < 0 or leaf.last_bit >= 8 * ktype.size for leaf in found):
        raise _damaged(ktype)
    return tuple(found)


def _damaged(ktype: KType) -> TargetError:
    is_dwarf = isinstance(ktype, KStruct) and ktype.in_program
    return TargetError(
        f"the debug information of {ktype.spelling} is damaged: "
        f"a member is outside its {ktype.size} bytes",
        code="BAD_DWARF" if is_dwarf else "BAD_BTF",
    )


def sole_leaf(struct: KStruct, members: Members) -> Leaf | None:
    """The number that is all there is in a struct, None where there are more or other parts."""
    leaves = leaves_of(struct, members)
    if leaves is None or len(leaves) != 1 or leaves[0].is_bit_field or leaves[0].first_bit:
        return None
    return leaves[0]


class _UnknownError(Exception):
    """A part is of a type that is not known, or there are more than any struct has."""


class _Walk:
    """Goes through all that a struct contains; what comes from a damaged file may have no end."""

    def __init__(self, members: Members) -> None:
        self._members = members
        self._left = _MOST

    def leaves(self, ktype: KType, offset: int, asked: int = 0, depth: int = 0) -> list[Leaf]:
        """The numbers of a part that is at ``offset``, for which the source asks an alignment."""
        self._left -= 1
        if self._left < 0 or depth > _DEEPEST:
            raise _UnknownError
        match ktype:
            case KStruct():
                return self._in_struct(ktype, offset, asked, depth)
            case KArray(element=element, is_vector=False):
                found = []
                for n in range(min(ktype.count, _MOST_ELEMENTS if element.size else 1)):
                    found += self.leaves(element, offset + n * element.size, asked, depth + 1)
                if found and not element.size:
                    raise _UnknownError
                return found
            case KInt() | KFloat() | KPointer() if ktype.size > 0:
                return [Leaf(ktype, 8 * offset, 8 * ktype.size, alignment=asked)]
            case KArray(size=8 | 16 | 32 | 64):
                return [Leaf(ktype, 8 * offset, 8 * ktype.size, alignment=asked)]
            case KOther(size=size, is_float=True) if size:
                return [Leaf(ktype, 8 * offset, 8 * size, alignment=asked)]
        raise _UnknownError

    def _in_struct(self, struct: KStruct, base: int, asked: int, depth: int) -> list[Leaf]:
        """The numbers of a struct, of which no debug information says that it is packed.

        It is where a member is not where its type wants it, or where the size is not a multiple.
        """
        found: list[Leaf] = []
        fits = _MOST_ALIGNED
        for member in self._members(struct):
            own = self._of_member(member, struct, base, asked, depth)
            found += own
            needed = max((leaf.wants for leaf in own), default=1)
            if member.offset % needed:
                fits = 1
            while struct.size % min(fits, needed):
                fits //= 2
        if not found and struct.size and not struct.in_program:
            # Of a transparent union BTF has no members. In the kernel they are all addresses.
            if struct.size != _ADDRESS.size:
                raise _UnknownError
            return [Leaf(_ADDRESS, 8 * base, 64)]
        return [leaf if leaf.wants <= fits else replace(leaf, at_most=fits) for leaf in found]

    def _of_member(
        self, member: Member, struct: KStruct, base: int, asked: int, depth: int
    ) -> list[Leaf]:
        if member.bit_size:
            first = 8 * (base + member.offset) + member.bit_offset
            return [Leaf(member.type, first, member.bit_size, is_bit_field=True)]
        own = max(asked, member.alignment, _asked_by_type(member, struct))
        return self.leaves(member.type, base + member.offset, own, depth + 1)


def _asked_by_type(member: Member, struct: KStruct) -> int:
    """The alignment that the type of a member asks for, which a packed struct does not heed."""
    ktype = member.type
    while isinstance(ktype, KArray):
        ktype = ktype.element
    asked = ktype.alignment if isinstance(ktype, KStruct) else 0
    return 0 if not asked or member.offset % asked or struct.size % asked else asked


def _natural(ktype: KType) -> int:
    """Bytes that divide the address of a number of a type, in all structs that are not packed."""
    size = ktype.size
    if isinstance(ktype, KOther) and ktype.base == "complex":
        size //= 2
    return size if size & (size - 1) == 0 else 1
