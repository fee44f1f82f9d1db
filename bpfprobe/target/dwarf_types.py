"""Types of DWARF as the nouns that BTF gives: what reading memory needs, no more."""

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
    bit_field,
)
from bpfprobe.target.dwarf_entries import member_offset, number
from bpfprobe.target.dwarf_languages import is_fortran

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfprobe.target.dwarf_entries import Entries
    from bpfprobe.target.dwarf_units import Die

_DEEPEST = 40
"""Types within types; a damaged file has circles."""

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
_BOOLEAN, _COMPLEX, _FLOAT, _SIGNED, _SIGNED_CHAR, _UNSIGNED = 2, 3, 4, 5, 6, 7
_UNSIGNED_CHAR, _IMAGINARY, _DECIMAL, _UTF, _ASCII = 8, 9, 15, 16, 18
_NUMBERS = (_BOOLEAN, _SIGNED, _SIGNED_CHAR, _UNSIGNED, _UNSIGNED_CHAR, _UTF, _ASCII)
_CONSTANT_FORMS = ("DW_FORM_data", "DW_FORM_sdata", "DW_FORM_udata", "DW_FORM_implicit_const")
VOID = KOther("void")
_ELSEWHERE = KOther("a type in a unit of its own, which pyelftools reads since 0.32")


def members_of(struct: Die, entries: Entries) -> tuple[Member, ...]:
    """The members of a struct; what it inherits stands there without a name.

    Raises `TargetError` (INCOMPLETE_TYPE) for one that is only declared.
    """
    return tuple(_members(entries.definition(struct), entries))


def type_of(die: Die, entries: Entries, depth: int = 0) -> KType:
    """The type that an entry says, void for none."""
    holder = entries.holder(die, "DW_AT_type")
    if holder is None:
        return VOID
    if depth > _DEEPEST:
        raise ValueError("its types run in a circle")
    target = entries.referred(holder, "DW_AT_type")
    return _type(target, entries, depth + 1) if target is not None else _ELSEWHERE


def _type(die: Die, entries: Entries, depth: int) -> KType:
    size, name = number(die, "DW_AT_byte_size"), entries.name_of(die)
    if die.tag == "DW_TAG_base_type":
        return _base(name, size, number(die, "DW_AT_encoding"))
    if die.tag in _POINTERS:
        target = type_of(die, entries, depth)
        sign = _POINTERS[die.tag]
        space = "" if target.spelling.endswith("*") else " "
        spelling, is_reference = f"{target.spelling}{space}{sign}", sign != "*"
        return KPointer(spelling, target, True, size or 8, is_reference)
    if die.tag in _QUALIFIERS:
        return _spelled(type_of(die, entries, depth), _QUALIFIERS[die.tag], "")
    if die.tag == "DW_TAG_typedef":
        return _spelled(type_of(die, entries, depth), "", name)
    if die.tag in _STRUCTS:
        return _struct(die, name, entries)
    if die.tag == "DW_TAG_enumeration_type":
        values = (number(child, "DW_AT_const_value") for child in die.children())
        return KInt(f"enum {name}".strip(), size, any(value < 0 for value in values))
    if die.tag == "DW_TAG_array_type":
        return _array(die, entries, depth)
    if die.tag == "DW_TAG_string_type":
        return _text(die)
    if die.tag == "DW_TAG_subroutine_type":
        return KOther("a function", size, base="function")
    if die.tag is None:
        raise ValueError("a type is the end of a list of entries")
    return KOther(name or str(die.tag), size)


def _struct(die: Die, name: str, entries: Entries) -> KType:
    spelling = _STRUCTS[die.tag] + (name or "{...}")
    return KStruct(
        spelling,
        name,
        number(die, "DW_AT_byte_size"),
        entries.id_of(die),
        is_union=die.tag == "DW_TAG_union_type",
        in_program=True,
        alignment=number(die, "DW_AT_alignment"),
    )


def _base(name: str, size: int, encoding: int) -> KType:
    if encoding == _FLOAT and size in (4, 8):
        return KFloat(name, size)
    if encoding in (_FLOAT, _IMAGINARY, _DECIMAL):
        return KOther(name, size, is_float=True, base=name)
    if encoding == _COMPLEX:
        return KOther(name, size, is_float=True, base="complex")
    if encoding not in _NUMBERS:
        return KOther(name, size)  # fixed-point, packed decimals, GNU's complex integers
    signed = encoding in (_SIGNED, _SIGNED_CHAR)
    # A signed or unsigned char is a small number: int8_t and uint8_t are no more than names for it.
    is_char = size == 1 and (encoding == _UTF or name.lower().startswith("char"))
    return KInt(name, size, signed, is_char, encoding == _BOOLEAN)


def _spelled(ktype: KType, prefix: str, name: str) -> KType:
    """The same type under the name that the source has for it."""
    from bpfprobe.model.noun import replace

    if prefix and isinstance(ktype, KPointer):
        return replace(ktype, spelling=f"{ktype.spelling}{prefix.strip()}")
    return replace(ktype, spelling=name or prefix + ktype.spelling)


def _array(die: Die, entries: Entries, depth: int) -> KType:
    """An array as it is in memory, where Fortran has the first index next to one another."""
    ktype = type_of(die, entries, depth)
    if "DW_AT_data_location" in die.attributes:
        return KOther("an array of which only the running program knows where it is")
    bounds = [child for child in die.children() if child.tag == "DW_TAG_subrange_type"]
    by_column = is_fortran(die)
    for bound in bounds if by_column else reversed(bounds):
        count = _count(bound, 1 if by_column else 0)
        spelling = f"{ktype.spelling}[{count or ''}]"
        is_vector = "DW_AT_GNU_vector" in die.attributes
        ktype = KArray(spelling, ktype, count, count * ktype.size, is_vector)
    return ktype


def _count(bound: Die, first: int) -> int:
    """How many elements an array has, 0 where only the running program knows."""
    if not all(_is_constant(bound, name) for name in ("DW_AT_lower_bound", "DW_AT_upper_bound")):
        return 0
    lower = number(bound, "DW_AT_lower_bound", first)
    upper = number(bound, "DW_AT_upper_bound", lower - 1)
    count = upper + 1 - lower
    if _is_constant(bound, "DW_AT_count"):
        count = number(bound, "DW_AT_count", count)
    return max(0, count)


def _is_constant(die: Die, name: str) -> bool:
    """Whether an attribute is a number, or not there, and no code or entry that leads to one."""
    attribute = die.attributes.get(name)
    return attribute is None or attribute.form.startswith(_CONSTANT_FORMS)


def _text(die: Die) -> KType:
    """A text of Fortran, which has as many characters as its type says and no NUL."""
    size = number(die, "DW_AT_byte_size")
    if not size:
        return KOther("a text whose length is an argument of its own")
    return KArray(f"character(len={size})", KInt("char", 1, True, is_char=True), size, size)


def _members(struct: Die, entries: Entries) -> Iterator[Member]:
    for child in struct.children():
        if child.tag not in ("DW_TAG_member", "DW_TAG_inheritance"):
            continue
        if "DW_AT_external" in child.attributes or "DW_AT_declaration" in child.attributes:
            continue  # one for all objects, which stands elsewhere
        offset = member_offset(child)
        if offset is None:
            continue  # of a virtual base: only the object itself says where
        ktype = type_of(child, entries)
        bit_size = number(child, "DW_AT_bit_size")
        name = entries.name_of(child) if child.tag == "DW_TAG_member" else ""
        if not bit_size:
            yield Member(name, ktype, offset, alignment=number(child, "DW_AT_alignment"))
            continue
        yield bit_field(name, ktype, _first_bit(child, ktype, 8 * offset, bit_size), bit_size)


def _first_bit(member: Die, ktype: KType, base: int, bit_size: int) -> int:
    """Where a bit field begins. Before DWARF 4 it was counted from the unit's highest bit."""
    if "DW_AT_data_bit_offset" in member.attributes:
        return base + number(member, "DW_AT_data_bit_offset")
    if "DW_AT_bit_offset" in member.attributes:
        unit = 8 * number(member, "DW_AT_byte_size", ktype.size)
        before = number(member, "DW_AT_bit_offset")
        if before >= 1 << 63:  # in a packed struct Clang counts from behind the unit's end
            before -= 1 << 64
        return base + unit - before - bit_size
    return base
