"""The numbers that a struct is made of, through all that it contains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.model.ktype import KArray, KFloat, KInt, KOther, KPointer, KStruct
from bpfprobe.model.noun import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from bpfprobe.model.ktype import KType, Member

    Members = Callable[[KStruct], Iterable[Member]]

_MOST = 4096
_MOST_ALIGNED = 64
_ADDRESS = KPointer("void *", KOther("void"))
_MOST_ELEMENTS = 64
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
    """
    found: list[Leaf] = []
    for leaf in _leaves(ktype, 0, members):
        if leaf is None or len(found) == _MOST:
            return None
        found.append(leaf)
    return tuple(found)


def sole_leaf(struct: KStruct, members: Members) -> Leaf | None:
    """The number that is all there is in a struct, None where there are more or other parts."""
    leaves = leaves_of(struct, members)
    if leaves is None or len(leaves) != 1 or leaves[0].is_bit_field or leaves[0].first_bit:
        return None
    return leaves[0]


def _leaves(ktype: KType, offset: int, members: Members, asked: int = 0) -> Iterator[Leaf | None]:
    match ktype:
        case KStruct():
            found = list(_in_struct(ktype, offset, members, asked))
            if not found and ktype.size and not ktype.in_program:
                # Of a transparent union BTF has no members. In the kernel they are all addresses.
                found = [Leaf(_ADDRESS, 8 * offset, 64) if ktype.size == 8 else None]
            yield from found
        case KArray(element=element, is_vector=False):
            for n in range(min(ktype.count, _MOST_ELEMENTS if element.size else 1)):
                for leaf in _leaves(element, offset + n * element.size, members, asked):
                    yield leaf if element.size else None
        case KInt() | KFloat() | KPointer() if ktype.size > 0:
            yield Leaf(ktype, 8 * offset, 8 * ktype.size, alignment=asked)
        case KArray(size=8 | 16 | 32 | 64):
            yield Leaf(ktype, 8 * offset, 8 * ktype.size, alignment=asked)
        case KOther(size=size, is_float=True) if size:
            yield Leaf(ktype, 8 * offset, 8 * size, alignment=asked)
        case _:
            yield None


def _in_struct(struct: KStruct, base: int, members: Members, asked: int) -> Iterator[Leaf | None]:
    """The numbers of a struct, of which types of debug information do not say that it is packed.

    It is where a member is not where its type wants it, or where the size is not a multiple.
    """
    found: list[Leaf | None] = []
    fits = _MOST_ALIGNED
    for member in members(struct):
        own = list(_of_member(member, struct, base, members, asked))
        found += own
        needed = max((leaf.wants for leaf in own if leaf is not None), default=1)
        if member.offset % needed:
            fits = 1
        while struct.size % min(fits, needed):
            fits //= 2
    for leaf in found:
        yield leaf if leaf is None or leaf.wants <= fits else replace(leaf, at_most=fits)


def _of_member(
    member: Member, struct: KStruct, base: int, members: Members, asked: int
) -> Iterator[Leaf | None]:
    if member.bit_size:
        first = 8 * (base + member.offset) + member.bit_offset
        yield Leaf(member.type, first, member.bit_size, is_bit_field=True)
        return
    own = max(asked, member.alignment, _asked_by_type(member, struct))
    yield from _leaves(member.type, base + member.offset, members, own)


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
