"""What DWARF says of a function's language, as far as it decides where arguments are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.model.ktype import Abi
from bpfprobe.target.dwarf_entries import number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bpfprobe.target.dwarf_units import Die

_LANG_GO, _LANG_RUST = 0x16, 0x1C  # DW_LANG_*: DWARF 5, 7.12
_LANG_C = (0x01, 0x02, 0x0C, 0x1D, 0x2C, 0x3E)  # C89, C, C99, C11, C17, C23
_LANG_ASSEMBLER = 0x8001  # DW_LANG_Mips_Assembler, by which GNU as and LLVM mean any
_GENERIC = "[go.shape."
_FIRST_REGISTER, _LAST_REGISTER = 0x50, 0x6F  # DW_OP_reg0, DW_OP_reg31: DWARF 5, 7.7.1
_PIECE = 0x93  # DW_OP_piece
_CC_NOCALL = 3  # DW_CC_nocall: DWARF 5, 7.15


def abi_of(function: Die, name: str) -> Abi:
    """Return whose calling convention a function follows by the language of its unit.

    Rust says nowhere whether a function is ``extern "C"``.
    """
    top = function.cu.get_top_DIE()
    language = number(top, "DW_AT_language")
    if language == _LANG_GO:
        # "regabi" is among what cmd/link notes of the compiler since Go 1.17.
        if "regabi" not in _producer(top):
            return Abi.GO_STACK
        return Abi.GO_GENERIC if _GENERIC in name else Abi.GO
    return Abi.RUST if language == _LANG_RUST else Abi.C


def is_assembler(function: Die) -> bool:
    """Return whether an assembler wrote a function's entry, which says nothing of arguments."""
    return number(function.cu.get_top_DIE(), "DW_AT_language") == _LANG_ASSEMBLER


def is_without_prototype(function: Die, origin: Die | None) -> bool:
    """Return whether a function of C, as ``int f()`` is before C23, may be handed anything."""
    if number(function.cu.get_top_DIE(), "DW_AT_language") not in _LANG_C:
        return False
    return not any("DW_AT_prototyped" in one.attributes for one in (function, origin or function))


def is_changed(function: Die) -> bool:
    """Return whether the compiler handed over less, or returns less, than the type says.

    LLVM marks what its passes changed as not to be called by a debugger.
    """
    return number(function, "DW_AT_calling_convention") == _CC_NOCALL


def is_result(parameter: Die) -> bool:
    """Return whether what stands among the parameters is a result, as Go has it."""
    return bool(number(parameter, "DW_AT_variable_parameter"))


def pieces_of(place: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Return the registers that have a value, with the bytes in each; 0 bytes for all of it.

    -1 stands for bytes that are nowhere. Empty for what is not in registers alone.
    """
    found: list[tuple[int, int]] = []
    register, at = -1, 0
    while at < len(place):
        operation = place[at]
        at += 1
        if _FIRST_REGISTER <= operation <= _LAST_REGISTER and register < 0:
            register = operation - _FIRST_REGISTER
        elif operation == _PIECE:
            size, at = _leb(place, at)
            found.append((register, size))
            register = -1
        else:
            return ()
    if register >= 0:
        return () if found else ((register, 0),)
    return tuple(found) if any(one >= 0 for one, _ in found) else ()


def _leb(place: Sequence[int], at: int) -> tuple[int, int]:
    """Return the unsigned LEB128 number at a place, and where what follows begins."""
    found, shift = 0, 0
    while at < len(place):
        byte = place[at]
        found |= (byte & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if not byte & 0x80:
            break
    return found, at


def _producer(top: Die) -> str:
    attribute = top.attributes.get("DW_AT_producer")
    text = attribute.value if attribute is not None else b""
    return text.decode(errors="replace") if isinstance(text, bytes) else ""
