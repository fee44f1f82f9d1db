"""Structs for tests of calling conventions, from what they are handed over in."""

from __future__ import annotations

from bpfprobe.model.ktype import KFloat, KInt, KOther, KStruct, Member

_PARTS = {"I": KInt("long", 8, signed=True), "F": KFloat("double", 8), "?": KOther("?", 4)}
_FIRST = 1000
_SHAPES = ("I", "F", "II", "FF", "IF", "FI", "?", "III", "E", "R")


def by_value(shape: str, size: int = -1) -> KStruct:
    """A struct of numbers (I), floats (F) and what is not known (?), or nothing (E).

    R is one that goes by its address. ``size`` is another than that of the parts.
    """
    number = _FIRST + _SHAPES.index(shape)
    size = 8 * len(shape) if size < 0 else size
    is_by_reference = shape == "R"
    return KStruct("struct s", "s", size, number, in_program=True, by_reference=is_by_reference)


def members(struct: KStruct) -> tuple[Member, ...]:
    """The members of one, called a, b and c."""
    shape = _SHAPES[struct.type_id - _FIRST]
    return tuple(
        Member(name, _PARTS[kind], 8 * n)
        for n, (name, kind) in enumerate(zip("abc", shape, strict=False))
        if kind in _PARTS
    )
