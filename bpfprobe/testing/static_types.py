"""Structs and functions from C declarations, laid out as a 64-bit Linux compiler lays them out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.model.ktype import (
    KArray,
    KFloat,
    KInt,
    KOther,
    KPointer,
    KStruct,
    KType,
    Member,
    Parameter,
    Prototype,
)
from bpfprobe.testing.c_declarations import (
    INTEGERS,
    Array,
    Block,
    Declared,
    Function,
    Pointer,
    Shape,
    Word,
    read_members,
    read_signature,
    read_type,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from bpfprobe.testing.c_declarations import Signature

    Members = str | Iterable[str | tuple[str, str]]


class StaticTypes:
    """Named structs and typedefs, from which KTypes are made.

    A key of ``structs`` is the name of a struct, or ``union NAME``. Raises ValueError for a
    declaration that is not understood, or for a struct embedded by value that is not given.
    """

    def __init__(self, structs: Mapping[str, Members], typedefs: Mapping[str, str]) -> None:
        self._typedefs = {name: read_type(text) for name, text in typedefs.items()}
        self._blocks: dict[str, Block] = {}
        self._numbers: dict[Block | str, int] = {}
        self._shapes: dict[int, Block] = {}
        for key, members in structs.items():
            union = key.startswith("union ")
            name = key.removeprefix("union ").removeprefix("struct ")
            self._blocks[name] = block = Block(union, _declared(members))
            self._number(name, block)

    def names(self) -> list[str]:
        """Every struct and union that was given."""
        return list(self._blocks)

    def struct(self, name: str) -> KStruct | None:
        """The struct, union or typedef of one, or None."""
        if name in self._blocks:
            keyword = "union" if self._blocks[name].is_union else "struct"
            made = self.ktype(Word(keyword, name))
        elif name in self._typedefs:
            made = self.ktype(Word("", name))
        else:
            return None
        return made if isinstance(made, KStruct) else None

    def members(self, struct: KStruct) -> tuple[Member, ...]:
        """Its members at their offsets."""
        block = self._shapes[struct.type_id]
        return tuple(
            Member(declared.name, self.ktype(declared.shape), offset, bit, declared.bits)
            for declared, offset, bit in self._places(block)
        )

    def prototype(self, signature: Signature) -> Prototype:
        """The prototype of a function."""
        parameters = tuple(
            Parameter(parameter.name, self.ktype(parameter.shape))
            for parameter in signature.parameters
        )
        returns = self.ktype(signature.returns)
        return Prototype(signature.name, parameters, returns, signature.variadic)

    def read_prototype(self, text: str) -> Prototype:
        """The prototype that a C signature declares."""
        return self.prototype(read_signature(text))

    def ktype(self, shape: Shape) -> KType:
        """The type as the nouns have it."""
        spelling = self._spelling(shape)
        match shape:
            case Pointer(target, user):
                return KPointer(spelling, self.ktype(target), user)
            case Array(element, count):
                return KArray(spelling, self.ktype(element), count, self._size(shape)[0])
            case Block(is_union):
                return KStruct(spelling, "", self._size(shape)[0], self._number(shape), is_union)
            case Word("enum"):
                return KInt(spelling, 4, False)
            case Word(keyword, name) if keyword:
                if name not in self._blocks:
                    return KOther(spelling)
                size, _ = self._size(shape)
                is_union = self._blocks[name].is_union
                return KStruct(spelling, name, size, self._numbers[name], is_union)
            case Word("", name) if name in self._typedefs:
                return _respelt(self.ktype(self._typedefs[name]), spelling)
            case Word("", name) if name in INTEGERS:
                size, signed = INTEGERS[name]
                return KInt(spelling, size, signed, name == "char", name in ("bool", "_Bool"))
            case Word("", "void") | Function():
                return KOther(spelling)
        raise ValueError(f"no type {spelling!r}: give it in typedefs")

    def _number(self, key: str | Block, block: Block | None = None) -> int:
        """The type id of a struct by name, or of an anonymous one by what is in it."""
        number = self._numbers.setdefault(key, len(self._numbers) + 1)
        if block is not None or isinstance(key, Block):
            self._shapes[number] = block or key  # type: ignore[assignment]  # a str has a block
        return number

    def _spelling(self, shape: Shape) -> str:
        match shape:
            case Pointer(Function()):
                return "void (*)()"
            case Pointer(target):
                inner = self._spelling(target)
                return f"{inner}*" if inner.endswith("*") else f"{inner} *"
            case Array(element, count):
                base, bracket, counts = self._spelling(element).partition("[")
                return f"{base}[{count}]{bracket}{counts}"
            case Block(is_union):
                return "union {...}" if is_union else "struct {...}"
            case Function():
                return "void ()"
            case Word(keyword, name, const):
                return " ".join(filter(None, ["const" if const else "", keyword, name]))

    def _size(self, shape: Shape) -> tuple[int, int]:
        """Size and alignment in bytes."""
        match shape:
            case Pointer():
                return 8, 8
            case Array(element, count):
                size, align = self._size(element)
                return size * count, align
            case Block():
                return self._block_size(shape)
            case Word("enum"):
                return 4, 4
            case Word(keyword, name) if keyword and name in self._blocks:
                return self._block_size(self._blocks[name])
            case Word("", name) if name in self._typedefs:
                return self._size(self._typedefs[name])
            case Word("", name) if name in INTEGERS:
                return INTEGERS[name][0], INTEGERS[name][0]
        raise ValueError(f"{self._spelling(shape)!r} has no size here: define it")

    def _block_size(self, block: Block) -> tuple[int, int]:
        end, widest = 0, 1
        for declared, offset, bit in self._places(block):
            size, align = self._size(declared.shape)
            used = (bit + declared.bits + 7) // 8 if declared.bits else size
            end, widest = max(end, offset + used), max(widest, align)
        return _up(end, widest), widest

    def _places(self, block: Block) -> Iterator[tuple[Declared, int, int]]:
        """Each member with its offset in bytes and, of a bit field, the bit in that unit."""
        at = 0  # in bits
        for declared in block.members:
            size, align = self._size(declared.shape)
            if block.is_union:
                at = 0
            if not declared.bits:
                at = _up(at, 8 * align)
                yield declared, at // 8, 0
                at += 8 * size
                continue
            # The System V ABI: a bit field never crosses a unit of its own type.
            if at // (8 * size) != (at + declared.bits - 1) // (8 * size):
                at = _up(at, 8 * size)
            unit = at // (8 * size)
            yield declared, unit * size, at - 8 * size * unit
            at += declared.bits


def _declared(members: Members) -> tuple[Declared, ...]:
    if isinstance(members, str):
        return read_members(members)
    found: list[Declared] = []
    for member in members:
        if isinstance(member, str):
            found += read_members(member)
        else:
            name, text = member
            found.append(Declared(name, read_type(text)))
    return tuple(found)


def _respelt(type_: KType, spelling: str) -> KType:
    """The same type under the name of its typedef; a struct keeps its own name."""
    match type_:
        case KInt(_, size, signed, is_char, is_bool):
            return KInt(spelling, size, signed, is_char, is_bool)
        case KPointer(_, target, user, size):
            return KPointer(spelling, target, user, size)
        case KArray(_, element, count, size):
            return KArray(spelling, element, count, size)
        case KStruct(_, name, size, type_id, is_union):
            return KStruct(spelling, name, size, type_id, is_union)
        case KFloat(_, size):
            return KFloat(spelling, size)
        case KOther(_, size):
            return KOther(spelling, size)


def _up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple
