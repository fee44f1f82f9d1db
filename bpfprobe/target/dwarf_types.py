"""Types and functions of DWARF as the nouns that BTF gives: what reading memory needs, no more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bpfprobe.errors import TargetError
from bpfprobe.model.ktype import (
    KArray,
    KInt,
    KOther,
    KPointer,
    KStruct,
    KType,
    Member,
    Parameter,
    Prototype,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_DEEPEST = 40
"""Types within types, and references from one entry to the next; a damaged file has circles."""

_POINTERS = {
    "DW_TAG_pointer_type": "*",
    "DW_TAG_reference_type": "&",
    "DW_TAG_rvalue_reference_type": "&&",
}
_QUALIFIERS = {
    "DW_TAG_const_type": "const ",
    "DW_TAG_volatile_type": "volatile ",
    "DW_TAG_restrict_type": "",
    "DW_TAG_atomic_type": "_Atomic ",
}
_STRUCTS = {
    "DW_TAG_structure_type": "struct ",
    "DW_TAG_class_type": "class ",
    "DW_TAG_union_type": "union ",
}
# DW_ATE_* of DWARF 5, 7.8.
_BOOLEAN, _COMPLEX, _FLOAT, _SIGNED, _SIGNED_CHAR, _UNSIGNED_CHAR, _UTF = 2, 3, 4, 5, 6, 8, 16
_VOID = KOther("void")

Die = Any
"""An entry of DWARF as pyelftools has it, which has no types of its own."""


def prototype_of(function: Die, mark: int) -> Prototype:
    """What a function's entry says; structs get ``mark`` above the place of their own entry.

    Raises `TargetError` (NO_BTFARG) for a function from which the compiler took parameters away.
    """
    own = _parameters(function)
    source = _origin(function)
    if source is not None and len(_parameters(source)) > len(own):
        raise TargetError(
            f"the compiler took arguments away from {name_of(function)}: its debug information "
            "does not say which register has which of the others",
            code="NO_BTFARG",
            hint="$arg1, $arg2, ... are what is in the registers",
        )
    parameters = [Parameter(name_of(one), _type_of(one, mark, 0)) for one in own]
    variadic = any(child.tag == "DW_TAG_unspecified_parameters" for child in children(function))
    returns = _type_of(function, mark, 0)
    return Prototype(name_of(function), tuple(parameters), returns, variadic)


def members_of(struct: Die, mark: int) -> tuple[Member, ...]:
    """The members of a struct; what it inherits stands there without a name."""
    return tuple(_members(struct, mark))


def children(die: Die) -> Iterator[Die]:
    """The entries below one. Raises ValueError where they do not follow one another."""
    last = die.offset
    for child in die.iter_children():
        if child.offset <= last:
            raise ValueError("its entries run in a circle")
        last = child.offset
        yield child


def name_of(die: Die) -> str:
    """The name of an entry, or of the one that it stands for; empty for none."""
    found = _attribute(die, "DW_AT_name")
    return found.value.decode(errors="surrogateescape") if found is not None else ""


def number(die: Die, name: str, default: int = 0) -> int:
    """A constant among the attributes of an entry."""
    found = die.attributes.get(name)
    return found.value if found is not None and isinstance(found.value, int) else default


def _parameters(function: Die) -> list[Die]:
    return [child for child in children(function) if child.tag == "DW_TAG_formal_parameter"]


def _origin(die: Die) -> Die | None:
    """The entry that this one is an instance or the definition of."""
    for name in ("DW_AT_abstract_origin", "DW_AT_specification"):
        if name in die.attributes:
            return die.get_DIE_from_attribute(name)
    return None


def _attribute(die: Die, name: str) -> Any:
    holder = _holder(die, name)
    return None if holder is None else holder.attributes[name]


def _holder(die: Die, name: str) -> Die | None:
    """The entry that has the attribute: this one, or one that it stands for."""
    for _ in range(_DEEPEST):
        if name in die.attributes:
            return die
        origin = _origin(die)
        if origin is None:
            return None
        die = origin
    return None


def _type_of(die: Die, mark: int, depth: int) -> KType:
    holder = _holder(die, "DW_AT_type")
    if holder is None:
        return _VOID
    if depth > _DEEPEST:
        raise ValueError("its types run in a circle")
    if holder.attributes["DW_AT_type"].form in ("DW_FORM_GNU_ref_alt", "DW_FORM_ref_sig8"):
        return KOther("a type of another file")
    return _type(holder.get_DIE_from_attribute("DW_AT_type"), mark, depth + 1)


def _type(die: Die, mark: int, depth: int) -> KType:
    size, name = number(die, "DW_AT_byte_size"), name_of(die)
    if die.tag == "DW_TAG_base_type":
        return _base(name, size, number(die, "DW_AT_encoding"))
    if die.tag in _POINTERS:
        target = _type_of(die, mark, depth)
        sign = _POINTERS[die.tag]
        space = "" if target.spelling.endswith("*") else " "
        return KPointer(f"{target.spelling}{space}{sign}", target, True, size or 8)
    if die.tag in _QUALIFIERS:
        return _spelled(_type_of(die, mark, depth), _QUALIFIERS[die.tag], "")
    if die.tag == "DW_TAG_typedef":
        return _spelled(_type_of(die, mark, depth), "", name)
    if die.tag in _STRUCTS:
        spelling = _STRUCTS[die.tag] + (name or "{...}")
        if "DW_AT_declaration" in die.attributes:
            return KOther(spelling)
        is_union = die.tag == "DW_TAG_union_type"
        return KStruct(spelling, name, size, mark | die.offset, is_union, True)
    if die.tag == "DW_TAG_enumeration_type":
        values = (number(child, "DW_AT_const_value") for child in children(die))
        return KInt(f"enum {name}".strip(), size, any(value < 0 for value in values))
    if die.tag == "DW_TAG_array_type":
        return _array(die, mark, depth)
    return KOther("a function" if die.tag == "DW_TAG_subroutine_type" else name or die.tag, size)


def _base(name: str, size: int, encoding: int) -> KType:
    if encoding in (_FLOAT, _COMPLEX):
        return KOther(name, size)
    signed = encoding in (_SIGNED, _SIGNED_CHAR)
    is_char = encoding in (_SIGNED_CHAR, _UNSIGNED_CHAR, _UTF) and size == 1
    return KInt(name, size, signed, is_char, encoding == _BOOLEAN)


def _spelled(ktype: KType, prefix: str, name: str) -> KType:
    """The same type under the name that the source has for it."""
    from dataclasses import replace

    if prefix and isinstance(ktype, KPointer):
        return replace(ktype, spelling=f"{ktype.spelling}{prefix.strip()}")
    return replace(ktype, spelling=name or prefix + ktype.spelling)


def _array(die: Die, mark: int, depth: int) -> KType:
    ktype = _type_of(die, mark, depth)
    bounds = [child for child in children(die) if child.tag == "DW_TAG_subrange_type"]
    for bound in reversed(bounds):
        count = number(bound, "DW_AT_count", number(bound, "DW_AT_upper_bound", -1) + 1)
        ktype = KArray(f"{ktype.spelling}[{count or ''}]", ktype, count, count * ktype.size)
    return ktype


def _members(struct: Die, mark: int) -> Iterator[Member]:
    for child in children(struct):
        if child.tag not in ("DW_TAG_member", "DW_TAG_inheritance"):
            continue
        if "DW_AT_external" in child.attributes or "DW_AT_declaration" in child.attributes:
            continue  # one for all objects, which stands elsewhere
        offset = _member_offset(child)
        if offset is None:
            continue  # of a virtual base: only the object itself says where
        ktype = _type_of(child, mark, 0)
        bit_size = number(child, "DW_AT_bit_size")
        name = name_of(child) if child.tag == "DW_TAG_member" else ""
        if not bit_size:
            yield Member(name, ktype, offset)
            continue
        first = _first_bit(child, ktype, 8 * offset, bit_size)
        unit = 8 * max(ktype.size, 1)
        yield Member(name, ktype, first // unit * unit // 8, first % unit, bit_size)


def _member_offset(member: Die) -> int | None:
    """Bytes from the start of the struct; None where only a program for a stack machine says."""
    found = member.attributes.get("DW_AT_data_member_location")
    if found is None:
        return 0
    return found.value if isinstance(found.value, int) else None


def _first_bit(member: Die, ktype: KType, base: int, bit_size: int) -> int:
    """Where a bit field begins. Before DWARF 4 it was counted from the unit's highest bit."""
    if "DW_AT_data_bit_offset" in member.attributes:
        return base + number(member, "DW_AT_data_bit_offset")
    if "DW_AT_bit_offset" in member.attributes:
        unit = 8 * number(member, "DW_AT_byte_size", ktype.size)
        return base + unit - number(member, "DW_AT_bit_offset") - bit_size
    return base
