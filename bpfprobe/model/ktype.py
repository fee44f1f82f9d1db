"""Types of a kernel (or a program) as BTF tells them, reduced to what reading memory needs.

Typedefs, ``const``, ``volatile`` and ``restrict`` are resolved away; the name that the source used
stays in ``spelling``, so that a person sees ``const char *`` and not an id.
"""

from __future__ import annotations

from enum import Enum

from bpfprobe.model.noun import dataclass


@dataclass(frozen=True, slots=True)
class KInt:
    """An integer, a boolean, a character or an enumeration of ``size`` bytes."""

    spelling: str
    size: int
    signed: bool
    is_char: bool = False
    is_bool: bool = False


@dataclass(frozen=True, slots=True)
class KPointer:
    """A pointer. ``user`` is true where BTF tags the pointed-to memory ``__user``.

    ``is_reference`` for one of C++, whose name means what it leads to.
    """

    spelling: str
    target: KType
    user: bool = False
    size: int = 8
    is_reference: bool = False


@dataclass(frozen=True, slots=True)
class KStruct:
    """A struct or union by reference: its members are asked for by ``type_id`` when they matter.

    ``name`` is empty for an anonymous one. ``spelling`` is ``struct file`` or ``union {...}``.
    ``in_program`` where DWARF of a program has it: its names are nobody's business in the kernel.
    ``by_reference`` where functions are handed the address of one instead of its bytes, as C++ has
    it for a class that code copies. ``alignment`` is what the source asks for, 0 for no more than
    its members need.
    """

    spelling: str
    name: str
    size: int
    type_id: int
    is_union: bool = False
    in_program: bool = False
    by_reference: bool = False
    alignment: int = 0


@dataclass(frozen=True, slots=True)
class KArray:
    """``count`` elements, one after another; ``is_vector`` where one register has them all."""

    spelling: str
    element: KType
    count: int
    size: int
    is_vector: bool = False


@dataclass(frozen=True, slots=True)
class KFloat:
    """A float of ``size`` bytes, 4 or 8, as IEEE 754 has them."""

    spelling: str
    size: int


@dataclass(frozen=True, slots=True)
class KOther:
    """What cannot be read as a value: void, a function, a forward declaration, a long double.

    ``is_float`` for floats of other sizes than `KFloat` has, decimal ones, and complex numbers;
    ``base`` is what such a type is called under all typedefs, ``complex`` for the last and
    ``function`` for a function.
    ``is_unknown`` for a kind of type that came into BTF after this was written: it may have a size.
    """

    spelling: str
    size: int = 0
    is_float: bool = False
    base: str = ""
    is_unknown: bool = False


KType = KInt | KFloat | KPointer | KStruct | KArray | KOther


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a struct or union.

    ``offset`` counts bytes from the start of the struct. For a bit field ``bit_size`` is not 0 and
    ``bit_offset`` counts bits from ``offset``, which is then aligned to the type's size where that
    keeps the field inside one unit.
    ``name`` is empty for an anonymous struct or union, whose members are searched in place.
    ``alignment`` is what the source asks for, 0 for no more than the type needs.
    """

    name: str
    type: KType
    offset: int
    bit_offset: int = 0
    bit_size: int = 0
    alignment: int = 0


def bit_field(name: str, type_: KType, first: int, bits: int) -> Member:
    """The member whose ``bits`` begin ``first`` bits from the start of the struct."""
    unit = 8 * type_.size or 8
    bit = first % unit
    if bit + bits > unit:  # of a packed struct: no aligned unit holds it
        bit = first % 8
    return Member(name, type_, (first - bit) // 8, bit, bits)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a function; ``name`` is empty where BTF has none.

    ``register`` is DWARF's number of the one that holds it on entry, or its address where
    functions are handed that (``by_reference``), -1 where none is named; ``is_removed`` where the
    compiler made the function do without it, ``is_unplaced`` where it may have: the debug
    information has no place for it. ``pieces`` are the registers, with how many bytes
    each has, of what the debug information says to be in several, -1 for bytes that are in
    none.
    """

    name: str
    type: KType
    register: int = -1
    is_removed: bool = False
    is_unplaced: bool = False
    by_reference: bool = False
    pieces: tuple[tuple[int, int], ...] = ()


class Abi(Enum):
    """Whose rules say where a function finds its arguments.

    GO_STACK is Go before 1.17. GO_GENERIC is Go's function for several types, which is handed one
    thing more than its source says.
    """

    C = "C"
    GO = "Go"
    GO_STACK = "Go, on the stack"
    GO_GENERIC = "Go, for several types"
    RUST = "Rust"


@dataclass(frozen=True, slots=True)
class Prototype:
    """What BTF or DWARF says of a function. ``results`` counts what it returns, in Go alone.

    ``is_changed`` where the compiler says that it is handed or returns something else.
    """

    name: str
    parameters: tuple[Parameter, ...]
    returns: KType
    variadic: bool = False
    abi: Abi = Abi.C
    results: int = 1
    is_changed: bool = False

    def __str__(self) -> str:
        args = [declared(p.type, p.name) for p in self.parameters]
        if self.variadic:
            args.append("...")
        return declared(self.returns, f"{self.name}({', '.join(args) or 'void'})")


def declared(ktype: KType, name: str) -> str:
    """``name`` declared with a type, as C writes it."""
    if "(*)" in ktype.spelling:
        return ktype.spelling.replace("(*)", f"(*{name})", 1)
    return f"{ktype.spelling} {name}".replace("* ", "*").strip()
