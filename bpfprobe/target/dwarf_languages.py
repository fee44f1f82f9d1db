"""What DWARF says of a function's language, as far as it decides where arguments are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.model.ktype import Abi
from bpfprobe.target.dwarf_entries import number

if TYPE_CHECKING:
    from bpfprobe.target.dwarf_units import Die

_LANG_GO, _LANG_RUST = 0x16, 0x1C  # DW_LANG_*: DWARF 5, 7.12
_LANG_C = (0x01, 0x02, 0x0C, 0x1D, 0x2C, 0x3E)  # C89, C, C99, C11, C17, C23
_LANG_FORTRAN = (0x07, 0x08, 0x0E, 0x22, 0x23, 0x2D, 0x2E)  # Fortran77 ... Fortran23
_LANG_ASSEMBLER = 0x8001  # DW_LANG_Mips_Assembler, by which GNU as and LLVM mean any
_GENERIC = "[go.shape."
_CC_NOCALL = 3  # DW_CC_nocall: DWARF 5, 7.15


def abi_of(function: Die, name: str) -> Abi:
    """Return whose calling convention a function follows by the language of its unit.

    Rust says nowhere whether a function is ``extern "C"``.
    """
    language = _language(function)
    if language == _LANG_GO:
        # "regabi" is among what cmd/link notes of the compiler since Go 1.17.
        if "regabi" not in _producer(function.cu.top):
            return Abi.GO_STACK
        return Abi.GO_GENERIC if _GENERIC in name else Abi.GO
    return Abi.RUST if language == _LANG_RUST else Abi.C


def is_assembler(function: Die) -> bool:
    """Return whether an assembler wrote a function's entry, which says nothing of arguments."""
    return _language(function) == _LANG_ASSEMBLER


def is_fortran(die: Die) -> bool:
    """Return whether an entry is of a unit in Fortran."""
    return _language(die) in _LANG_FORTRAN


def is_without_prototype(function: Die, origin: Die | None) -> bool:
    """Return whether a function of C, as ``int f()`` is before C23, may be handed anything."""
    if _language(function) not in _LANG_C:
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


def _language(die: Die) -> int:
    return number(die.cu.top, "DW_AT_language")


def _producer(top: Die) -> str:
    attribute = top.attributes.get("DW_AT_producer")
    text = attribute.value if attribute is not None else b""
    return text.decode(errors="replace") if isinstance(text, bytes) else ""
