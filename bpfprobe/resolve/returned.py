"""What a function returned, by its type, where a probe can see it.

System V ABI for AMD64, 3.2.3; Procedure Call Standard for the Arm 64-bit Architecture, 6.9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import TargetError
from bpfprobe.model.ktype import Abi, KArray, KFloat, KInt, KOther, KStruct
from bpfprobe.model.scalar import X64
from bpfprobe.model.value import Argument, Kept, RegisterValue, ReturnValue
from bpfprobe.resolve.convention import NUMBER, is_number, passing_of
from bpfprobe.resolve.operand import scalar_of
from bpfprobe.resolve.passing import (
    by_value,
    in_memory,
    is_returned_in_memory,
    number_operand,
    register_name,
)
from bpfprobe.resolve.rust_passing import rust_return

if TYPE_CHECKING:
    from bpfprobe.model.arch import Arch
    from bpfprobe.model.ktype import Prototype
    from bpfprobe.model.value import Space, Value
    from bpfprobe.resolve.leaves import Members
    from bpfprobe.resolve.operand import Operand

_VOID = KOther("void")


def returned(
    prototype: Prototype, arch: Arch, members: Members, space: Space
) -> Operand | TargetError:
    """What ``$retval`` is, or why no program can take it; ``space`` is that of the function."""
    ktype = prototype.returns
    if ktype == _VOID:
        return _nothing(prototype, "nothing (void)")
    scalar = scalar_of(ktype)
    if prototype.is_changed:
        return _changed(prototype, arch)
    plain = is_number(ktype) or isinstance(ktype, KFloat)
    if prototype.abi is Abi.GO_STACK or (_is_go(prototype) and not plain):
        return _unknown(prototype, arch)
    if is_number(ktype) and scalar is not None:
        return number_operand(ReturnValue(scalar), ktype, space)
    if prototype.abi is Abi.RUST and isinstance(ktype, (KInt, KStruct, KArray)):
        passing = rust_return(ktype, members, arch) if isinstance(ktype, KStruct) else None
    else:
        passing = passing_of(ktype, members, arch)
    if passing is None:
        return _unknown(prototype, arch)
    if passing.is_nothing:
        return _nothing(prototype, f"a {ktype.spelling} with nothing in it")
    if is_returned_in_memory(passing):
        # On arm64 the register that had the address need not have it any more.
        address = arch.result_address
        base: Value = Kept(RegisterValue(address)) if address else ReturnValue(X64)
        if not address and prototype.abi is Abi.RUST:
            base = Argument(1)  # rustc -O does not hand the address back
        return in_memory(base, 0, ktype, space)
    if NUMBER not in passing.registers:
        return _in_vectors(prototype, arch)
    count = passing.registers.count(NUMBER)
    values = [ReturnValue(X64, n) for n in range(count)]
    names = [register_name(arch, arch.return_values[n]) for n in range(count)]
    return by_value(ktype, passing, values, names, members, space)


def _is_go(prototype: Prototype) -> bool:
    return prototype.abi in (Abi.GO, Abi.GO_GENERIC)


def _nothing(prototype: Prototype, what: str) -> TargetError:
    return TargetError(
        f"{prototype.name} returns {what}",
        code="NO_RETVAL",
        hint="leave it out; its arguments and duration are there",
    )


def _changed(prototype: Prototype, arch: Arch) -> TargetError:
    register = register_name(arch, arch.return_values[0])
    return TargetError(
        f"the compiler changed what {prototype.name} is handed or returns, as all its callers "
        "agree, and its debug information does not say to what",
        code="NO_RETVAL",
        hint=f"{register} takes the register as it is",
    )


def _unknown(prototype: Prototype, arch: Arch) -> TargetError:
    register = register_name(arch, arch.return_values[0])
    return TargetError(
        f"{prototype.name} returns a {prototype.returns.spelling}, and what is known of that type "
        "does not say where",
        code="STRUCT_ARGUMENT",
        hint=f"{register} takes the register as it is",
    )


def _in_vectors(prototype: Prototype, arch: Arch) -> TargetError:
    register = register_name(arch, arch.return_values[0])
    return TargetError(
        f"{prototype.name} returns a {prototype.returns.spelling}: no BPF program can read the "
        f"registers that floats are in, and {register} has something else",
        code="FLOAT_ARGUMENT",
        hint="if the function puts it in memory, +OFFSET(ADDRESS):f64 reads it there; "
        f"{register} takes the register as it is",
    )
