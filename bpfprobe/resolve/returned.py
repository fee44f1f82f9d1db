"""What a function of a program returns where a probe cannot see it.

System V ABI for AMD64, 3.2.3; Procedure Call Standard for the Arm 64-bit Architecture, 6.9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import TargetError
from bpfprobe.model.ktype import KFloat, KOther, KStruct

if TYPE_CHECKING:
    from bpfprobe.model.arch import Arch
    from bpfprobe.model.ktype import KType, Prototype

_VOID = KOther("void")


def return_refusal(prototype: Prototype, arch: Arch) -> TargetError | None:
    """Why the register of return values has none of this function; None where it has one."""
    ktype = prototype.returns
    if ktype == _VOID:
        return TargetError(
            f"{prototype.name} returns nothing (void)",
            code="NO_RETVAL",
            hint="leave it out; its arguments and duration are there",
        )
    if not _is_float(ktype, arch):
        return None
    register = next(name for name, member in arch.registers.items() if member == arch.return_value)
    return TargetError(
        f"{prototype.name} returns a {ktype.spelling}: no BPF program can read the registers that "
        f"floats are in, and %{register} has something else",
        code="FLOAT_ARGUMENT",
        hint="if the function puts it in memory, +OFFSET(ADDRESS):f64 reads it there; "
        f"%{register} takes the register as it is",
    )


def _is_float(ktype: KType, arch: Arch) -> bool:
    """Whether all of it is in registers of floats."""
    if isinstance(ktype, KStruct):
        return arch.name == "x86_64" and set(ktype.passing) == {"F"}
    return isinstance(ktype, KFloat) or (isinstance(ktype, KOther) and ktype.is_float)
