"""Functions of DWARF: what they take, as the compiler left it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bpfprobe.errors import TargetError
from bpfprobe.model.ktype import KStruct, KType, Parameter, Prototype
from bpfprobe.model.noun import replace
from bpfprobe.target.dwarf_entries import number
from bpfprobe.target.dwarf_languages import (
    abi_of,
    is_assembler,
    is_changed,
    is_result,
    is_without_prototype,
)
from bpfprobe.target.dwarf_locations import (
    FIRST_REGISTER,
    LAST_REGISTER,
    locations,
    pieces_of,
)
from bpfprobe.target.dwarf_passing import is_by_reference
from bpfprobe.target.dwarf_types import type_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bpfprobe.target.dwarf_entries import Entries
    from bpfprobe.target.dwarf_locations import Place
    from bpfprobe.target.dwarf_units import Die

_MOST_PARAMETERS = 1024
_FIRST_BASE, _LAST_BASE = 0x70, 0x8F  # DW_OP_breg0, DW_OP_breg31
_FRAME, _DEREF = 0x91, 0x06  # DW_OP_fbreg, DW_OP_deref
_PARAMETER_REF = 0xFA  # DW_OP_GNU_parameter_ref: what the caller would have handed over


def entry_of(function: Die) -> int | None:
    """Where a function begins, None for one that has no code of its own.

    Of the pieces that a compiler makes of it, the seldom ones elsewhere, the first has its entry.
    """
    if "DW_AT_low_pc" in function.attributes:
        return number(function, "DW_AT_low_pc")
    ranges = function.attributes.get("DW_AT_ranges")
    if ranges is None or not isinstance(ranges.value, int):
        return None
    lists = function.cu.dwarfinfo.range_lists()
    if lists is None:
        return None
    found = lists.get_range_list_at_offset(ranges.value, cu=function.cu)
    return next((start for start, _, _ in _placed(function.cu, found)), None)


def prototype_of(function: Die, address: int, entries: Entries) -> Prototype:
    """What a function that begins at an address is handed, as its own entry says.

    Of a clone, what the compiler took away is marked, and is where the source has it.
    """
    abi = abi_of(function, entries.name_of(function))
    own: list[Die] = []
    results: list[Die] = []
    for one in _parameters(function):
        (results if is_result(one) else own).append(one)
    if len(own) > _MOST_PARAMETERS:
        raise ValueError(f"a function has {len(own)} parameters")
    placed = [(one, _places(one)) for one in own]
    parameters = [
        _parameter(one, [place for start, end, place in places if start <= address < end], entries)
        for one, places in placed
        if not _is_removed(one, places)
    ]
    names = {parameter.name for parameter in parameters}
    in_source = {
        entries.name_of(one): one
        for one in _parameters_in_source(function, entries)
        if not is_result(one)
    }
    in_source |= {entries.name_of(one): one for one in own if entries.name_of(one) not in in_source}
    removed = {name: one for name, one in in_source.items() if name and name not in names}
    if removed:
        for name, one in removed.items():
            parameters.append(Parameter(name, type_of(one, entries), is_removed=True))
        order = list(in_source)
        parameters.sort(key=lambda parameter: order.index(parameter.name))
    variadic = any(child.tag == "DW_TAG_unspecified_parameters" for child in function.children())
    if not parameters:
        variadic |= is_without_prototype(function, entries.origin(function))
    returns = _handed(results[0] if results else function, entries)
    name = entries.name_of(function)
    return Prototype(
        name, tuple(parameters), returns, variadic, abi, len(results) or 1, is_changed(function)
    )


def is_described(function: Die) -> bool:
    """Whether types are described at all: for a stack with lines (``-g1``) names are enough."""
    if is_assembler(function):
        return False
    if {"DW_AT_type", "DW_AT_prototyped"} & function.attributes.keys() or _parameters(function):
        return True
    return any(child.tag.endswith(("_type", "_unit")) for child in function.cu.top.children())


def _parameters(function: Die) -> list[Die]:
    return [child for child in function.children() if child.tag == "DW_TAG_formal_parameter"]


def _parameters_in_source(function: Die, entries: Entries) -> list[Die]:
    """Those of the function that this one is a copy of, none where it is the only one."""
    if "DW_AT_abstract_origin" not in function.attributes:
        return []
    origin = entries.referred(function, "DW_AT_abstract_origin")
    if origin is None:
        return []
    # Of what C++ adds for virtual bases not every copy of a constructor has all.
    return [one for one in _parameters(origin) if not entries.name_of(one).startswith("__")]


def _parameter(die: Die, places: list[Sequence[int]], entries: Entries) -> Parameter:
    """Return the parameter of an entry, which is at these places when the function begins."""
    name, ktype = entries.name_of(die), _handed(die, entries)
    register, by_reference = _on_entry(places)
    is_unplaced = "DW_AT_location" not in die.attributes and _is_of_llvm(die)
    return Parameter(
        name,
        ktype,
        register,
        is_unplaced=is_unplaced,
        by_reference=by_reference,
        pieces=pieces_of(places[0]) if places and register < 0 else (),
    )


def _handed(die: Die, entries: Entries) -> KType:
    """Return the type of a parameter or of what is returned, of a struct where it is defined."""
    ktype = type_of(die, entries)
    if not isinstance(ktype, KStruct):
        return ktype
    try:
        struct = entries.definition(entries.entry(ktype.type_id))
    except TargetError as error:
        if error.code != "INCOMPLETE_TYPE":
            raise
        return ktype
    return replace(
        ktype,
        size=number(struct, "DW_AT_byte_size"),
        type_id=entries.id_of(struct),
        by_reference=_is_by_reference(struct, entries),
        alignment=number(struct, "DW_AT_alignment"),
    )


def _is_by_reference(struct: Die, entries: Entries) -> bool:
    try:
        return is_by_reference(struct, entries)
    except TargetError as error:
        if error.code != "INCOMPLETE_TYPE":
            raise
        return False  # a part of it is only declared, which whoever asks for its members is told


def _is_removed(parameter: Die, places: Iterable[Place]) -> bool:
    """Whether callers do not hand it over any more: a clone was made for what they all hand."""
    if "DW_AT_const_value" in parameter.attributes:
        return True
    return any(place[:1] == [_PARAMETER_REF] for _, _, place in places)


def _is_of_llvm(parameter: Die) -> bool:
    """Whether the compiler is one that leaves a function its name when it changes what it takes.

    LLVM does so with functions that no other file calls. GCC makes clones, with names of their own.
    """
    producer = parameter.cu.top.attributes.get("DW_AT_producer")
    text = producer.value if producer is not None else b""
    return isinstance(text, bytes) and any(name in text for name in (b"clang", b"LLVM"))


def _on_entry(places: Iterable[Sequence[int]]) -> tuple[int, bool]:
    """DWARF's number of the register that holds it, and whether that holds its address.

    -1 where no register is named. What is said of the whole function at once holds after the
    parameter was put on the stack; that an address was, which is what Fortran hands over, and C++
    for a class that code copies, holds from the beginning.
    """
    for place in filter(None, places):
        operation, *more = place
        if FIRST_REGISTER <= operation <= LAST_REGISTER and not more:
            return operation - FIRST_REGISTER, False
        if _FIRST_BASE <= operation <= _LAST_BASE and more == [0]:
            return operation - _FIRST_BASE, True
        if operation == _FRAME and place[-1] == _DEREF and _is_one_number(more[:-1]):
            return -1, True
    return -1, False


def _is_one_number(code: Sequence[int]) -> bool:
    """Whether it is one number in seven bits a byte, of which the last has the highest bit 0."""
    return bool(code) and code[-1] < 0x80 and all(byte >= 0x80 for byte in code[:-1])


def _places(parameter: Die) -> tuple[Place, ...]:
    """From which address on, and up to which, it is at which place, as DWARF's operations say."""
    attribute = parameter.attributes.get("DW_AT_location")
    return tuple(locations(parameter.cu, attribute)) if attribute is not None else ()


def _placed(unit: Any, found: Iterable[Any]) -> Iterator[tuple[int, int, Any]]:
    """The entries of a list with their first address and the one behind their last."""
    base = number(unit.top, "DW_AT_low_pc")
    for entry in found:
        if hasattr(entry, "base_address"):
            base = entry.base_address
        elif hasattr(entry, "begin_offset"):
            start = 0 if getattr(entry, "is_absolute", False) else base
            yield start + entry.begin_offset, start + entry.end_offset, entry
