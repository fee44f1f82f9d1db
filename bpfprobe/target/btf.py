"""Kernel types from BTF: raw types turned into `KType`s, with the spelling that C gives them."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Protocol

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
    bit_field,
)
from bpfprobe.target.libbpf_btf import Kind, RawBtf, RawType
from bpfprobe.target.nearness import nearest_names

if TYPE_CHECKING:
    from pathlib import Path

_DEEPEST = 64
"""No type of C is nested so; a BTF file whose pointer points to itself is."""

_QUALIFIERS = {Kind.CONST: "const", Kind.VOLATILE: "volatile", Kind.RESTRICT: "restrict"}
_WORDS = {
    "short int": "short",
    "short unsigned int": "unsigned short",
    "long int": "long",
    "long unsigned int": "unsigned long",
    "long long int": "long long",
    "long long unsigned int": "unsigned long long",
    "_Bool": "bool",
}
"""Integers as people write them; compilers name them the other way round."""

_INT_SIGNED, _INT_CHAR, _INT_BOOL = 1, 2, 4  # BTF_INT_*


class RawTypes(Protocol):
    """What is needed of a BTF: `RawBtf`, or a table in a test."""

    first_id: int

    def find(self, name: str, kind: Kind) -> int | None:
        """The id of the type of that name and kind."""
        ...

    def type(self, type_id: int) -> RawType:
        """The type with that id."""
        ...

    def name(self, offset: int) -> str:
        """The string at that offset."""
        ...

    @property
    def struct_names(self) -> tuple[str, ...]:
        """Names of every struct and union."""
        ...

    @property
    def function_names(self) -> tuple[str, ...]:
        """Names of every function."""
        ...


class BtfTypes:
    """Functions and structs of one BTF: of the kernel, or of a module on top of it.

    ``mark`` (a multiple of 2**32) is added to the ids of a module's own structs: those of two
    modules overlap. `members` takes ids with and without it.
    """

    def __init__(self, raw: RawTypes, mark: int = 0) -> None:
        self.raw = raw
        self._mark = mark
        self._members: dict[int, tuple[Member, ...]] = {}

    def _id(self, found: int) -> int:
        """The id for the outside: marked where it is the module's own."""
        return found | self._mark if found >= self.raw.first_id else found

    @classmethod
    def from_file(cls, path: Path | str, base: BtfTypes | None = None, mark: int = 0) -> BtfTypes:
        """From ``/sys/kernel/btf/vmlinux``, a file of another machine, or an ELF with ``.BTF``.

        With ``base`` the file is that of a module. Raises `TargetError` (NO_BTF, NO_ACCESS,
        NOT_REGULAR, BAD_BTF) and `MissingLibraryError`.
        """
        below = base.raw if base else None
        return cls(RawBtf(str(path), below if isinstance(below, RawBtf) else None), mark)

    def prototype(self, function: str) -> Prototype | None:
        """The prototype of a function, or None where BTF does not have it."""
        found = self.raw.find(function, Kind.FUNC)
        if found is None:
            return None
        proto = self.raw.type(self.raw.type(found).reference)
        if proto.kind != Kind.FUNC_PROTO:
            return None
        parameters: list[Parameter] = []
        variadic = False
        for name_offset, type_id in struct.iter_unpack("=II", proto.tail):
            if type_id == 0:  # only the last: the ellipsis
                variadic = True
            else:
                parameters.append(Parameter(self.raw.name(name_offset), self.ktype(type_id)))
        return Prototype(function, tuple(parameters), self.ktype(proto.reference), variadic)

    def struct(self, name: str) -> KStruct | None:
        """The struct or union of that name, or that a typedef of that name stands for, or None."""
        for kind in (Kind.STRUCT, Kind.UNION, Kind.TYPEDEF):
            found = self.raw.find(name, kind)
            made = self.ktype(found) if found else None
            if isinstance(made, KStruct):
                return made
        return None

    def similar_structs(self, name: str) -> tuple[str, ...]:
        """At most five names of structs that look like ``name``."""
        return nearest_names(name, self.raw.struct_names)

    def members(self, type_id: int) -> tuple[Member, ...]:
        """The members of the struct or union with that id."""
        if type_id not in self._members:
            raw = self.raw.type(type_id & 0xFFFFFFFF)
            has_members = raw.kind in (Kind.STRUCT, Kind.UNION)
            fields = struct.iter_unpack("=III", raw.tail if has_members else b"")
            self._members[type_id] = tuple(self._member(raw.flag, *each) for each in fields)
        return self._members[type_id]

    def has_enumerator(self, enumeration: str, name: str) -> bool | None:
        """Whether an enumeration has a value of that name; None where there is no enumeration."""
        found = self.raw.find(enumeration, Kind.ENUM)
        if found is None:
            return None
        values = struct.iter_unpack("=Ii", self.raw.type(found).tail)
        return any(self.raw.name(name_offset) == name for name_offset, _ in values)

    def ktype(self, type_id: int, depth: int = 0) -> KType:
        """The type with that id; typedefs and qualifiers are gone but from its spelling."""
        spelling = self.spelling(type_id)
        raw, found = self._plain(type_id)
        if depth > _DEEPEST:
            return KOther(spelling)
        match raw.kind:
            case Kind.INT:
                return _integer(spelling, raw)
            case Kind.ENUM | Kind.ENUM64:
                return KInt(spelling, raw.reference, raw.flag)
            case Kind.PTR:
                target = self.ktype(raw.reference, depth + 1)
                return KPointer(spelling, target, self._is_user(raw.reference))
            case Kind.STRUCT | Kind.UNION:
                is_union = raw.kind == Kind.UNION
                return KStruct(spelling, raw.name, raw.reference, self._id(found), is_union)
            case Kind.ARRAY:
                element_id, _, count = struct.unpack("=III", raw.tail)
                element = self.ktype(element_id, depth + 1)
                return KArray(spelling, element, count, count * element.size)
            case Kind.FWD:
                return self._defined(spelling, raw)
            case Kind.FLOAT if raw.reference in (4, 8):
                return KFloat(spelling, raw.reference)
            case Kind.FLOAT:
                return KOther(spelling, raw.reference, is_float=True, base=raw.name)
            case Kind.UNKNOWN:
                return KOther(spelling, is_unknown=True)
        return KOther(spelling)

    def _defined(self, spelling: str, forward: RawType) -> KType:
        """The definition behind a forward declaration, where this BTF has it."""
        kind = Kind.UNION if forward.flag else Kind.STRUCT
        found = self.raw.find(forward.name, kind)
        if found is None:
            return KOther(spelling)
        size = self.raw.type(found).reference
        return KStruct(spelling, forward.name, size, self._id(found), forward.flag)

    def _plain(self, type_id: int) -> tuple[RawType, int]:
        """The type under typedefs, qualifiers and tags, with its id."""
        for _ in range(_DEEPEST):
            raw = self.raw.type(type_id)
            if raw.kind not in (*_QUALIFIERS, Kind.TYPEDEF, Kind.TYPE_TAG):
                return raw, type_id
            type_id = raw.reference
        return RawType(Kind.VOID, False, 0, "void", 0, b""), 0

    def _is_user(self, type_id: int) -> bool:
        """Whether the memory of that type carries the tag ``user`` (compilers since 2022)."""
        for _ in range(_DEEPEST):
            raw = self.raw.type(type_id)
            if raw.kind == Kind.TYPE_TAG and raw.name == "user":
                return True
            if raw.kind not in (*_QUALIFIERS, Kind.TYPEDEF, Kind.TYPE_TAG):
                return False
            type_id = raw.reference
        return False

    def _member(self, has_bits: bool, name_offset: int, type_id: int, place: int) -> Member:
        """A member from its three words; with the flag the third holds a width in its top byte."""
        type_ = self.ktype(type_id)
        bit_size, bits = (place >> 24, place & 0xFFFFFF) if has_bits else (0, place)
        if not bit_size:
            bit_size, inside = self._narrow(type_id)
            bits += inside
        name = self.raw.name(name_offset)
        if not bit_size:
            return Member(name, type_, bits // 8)
        return bit_field(name, type_, bits, bit_size)

    def _narrow(self, type_id: int) -> tuple[int, int]:
        """(bits, first bit) of an integer narrower than its storage, as old compilers wrote."""
        raw, _ = self._plain(type_id)
        if raw.kind != Kind.INT:
            return 0, 0
        (encoding,) = struct.unpack("=I", raw.tail)
        bits, first = encoding & 0xFF, encoding >> 16 & 0xFF
        return (bits, first) if bits and bits != 8 * raw.reference else (0, 0)

    def spelling(self, type_id: int, depth: int = 0) -> str:
        """The type in C, as an abstract declarator: ``const char *``, ``int (*)(void *)``."""
        raw = self.raw.type(type_id)
        if depth > _DEEPEST:
            return "..."

        def inner(other: int) -> str:
            return self.spelling(other, depth + 1)

        match raw.kind:
            case Kind.CONST | Kind.VOLATILE | Kind.RESTRICT:
                base = inner(raw.reference)
                word = _QUALIFIERS[Kind(raw.kind)]
                return f"{base}{word}" if base.endswith("*") else f"{word} {base}"
            case Kind.TYPE_TAG:
                return inner(raw.reference)
            case Kind.PTR:
                target, _ = self._untagged(raw.reference)
                if target.kind == Kind.FUNC_PROTO:
                    return f"{inner(target.reference)} (*)({self._arguments(target, depth)})"
                base = inner(raw.reference)
                return f"{base}*" if base.endswith("*") else f"{base} *"
            case Kind.ARRAY:
                element, _, count = struct.unpack("=III", raw.tail)
                base, bracket, counts = inner(element).partition("[")
                return f"{base}[{count}]{bracket}{counts}"
            case Kind.FUNC_PROTO:
                return f"{inner(raw.reference)} ({self._arguments(raw, depth)})"
            case Kind.STRUCT | Kind.UNION | Kind.ENUM | Kind.ENUM64 | Kind.FWD:
                return f"{_keyword(raw)} {raw.name or '{...}'}"
            case Kind.UNKNOWN:
                return f"unknown_kind_{raw.reference} {raw.name}".rstrip()
        return _WORDS.get(raw.name, raw.name) or "{...}"

    def _untagged(self, type_id: int) -> tuple[RawType, int]:
        for _ in range(_DEEPEST):
            raw = self.raw.type(type_id)
            if raw.kind != Kind.TYPE_TAG:
                break
            type_id = raw.reference
        return raw, type_id

    def _arguments(self, proto: RawType, depth: int) -> str:
        ids = [type_id for _, type_id in struct.iter_unpack("=II", proto.tail)]
        return ", ".join(self.spelling(i, depth + 1) if i else "..." for i in ids) or "void"


def _integer(spelling: str, raw: RawType) -> KInt:
    (word,) = struct.unpack("=I", raw.tail)
    encoding = word >> 24 & 0xF
    # pahole gives plain char the encoding SIGNED, if any: the name tells it from a small number.
    is_char = raw.name == "char" or bool(encoding & _INT_CHAR)
    is_bool = bool(encoding & _INT_BOOL)
    return KInt(spelling, raw.reference, bool(encoding & _INT_SIGNED), is_char, is_bool)


def _keyword(raw: RawType) -> str:
    if raw.kind in (Kind.ENUM, Kind.ENUM64):
        return "enum"
    is_union = raw.kind == Kind.UNION or (raw.kind == Kind.FWD and raw.flag)
    return "union" if is_union else "struct"
