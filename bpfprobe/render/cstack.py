"""Prints how the immediate caller gets into a stack at the first instruction of a function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.model.stack import Caller, StackValue
from bpfprobe.render.cvalue import CExpression, Context, register

if TYPE_CHECKING:
    from bpfprobe.render.cvalue import ValueWriter

ADDRESS_BYTES = 8


def caller_word(write: ValueWriter, value: StackValue) -> CExpression | None:
    """Read the address that the function returns to; None where the chain is taken as it is."""
    if value.caller_at(write.place) is Caller.KERNEL or write.context is Context.RECORD:
        return None
    arch = write.arch
    if arch.link_register:
        return CExpression(register(arch.link_register))
    name, fault = write.fresh("caller"), write.fresh("fault")
    write.line(f"u64 {name};")
    at = f"(void *){register(arch.stack_pointer)}"
    write.line(f"long {fault} = probe_read_user(&{name}, sizeof({name}), {at});")
    return CExpression(name, fault)


def add_caller(write: ValueWriter, value: StackValue, caller: CExpression, length: str) -> None:
    """Put it after the first address of a chain that stands one address after ``used``.

    Where it is not added, ``used`` goes on to the chain.
    """
    chain = write.fresh("chain")
    write.line(f"word *{chain} = (word *)&event->tail[used];")
    write.line(f"opaque({chain});")  # of bytes, the compiler would write one at a time
    conditions = [f"{length} > 0"] + ([f"!{caller.fault}"] if caller.fault else [])
    if value.caller_at(write.place) is Caller.UNKNOWN:
        shorter = f"{length} < {2 * ADDRESS_BYTES}"
        conditions.append(f"({shorter} || {chain}[2] != {caller.text})")
    with write.block(f"if ({' && '.join(conditions)})"):
        write.line(f"{chain}[0] = {register(write.arch.instruction_pointer)};")
        write.line(f"{chain}[1] = {caller.text};")
        write.line(f"{length} += {ADDRESS_BYTES};")
        write.line("branched();")
    with write.block("else"):
        write.line(f"used += {ADDRESS_BYTES};")
        write.line("branched();")
