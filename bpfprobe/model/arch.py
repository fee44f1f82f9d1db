"""What differs between processors: registers, calling conventions, names of system calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import TargetError
from bpfprobe.model.noun import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Arch:
    """A processor architecture. Register names are those of ``struct pt_regs`` in the kernel.

    ``registers`` maps the name after ``%`` to the C member. ``return_sp_bytes`` is how much higher
    the stack pointer is in a return probe than it was on entry. ``first_stack_slot`` is the slot of
    ``$stack`` that holds the first argument that is not in a register. ``return_values`` are the
    registers of what is returned, the second where it has more than eight bytes.
    ``result_address`` is the one that has on entry where a large result is to be put, which on
    x86-64 is that of the first argument. ``link_register`` has the return address on entry, empty
    where that is on the stack. ``landing_pads`` are instructions, as they are in memory, with which
    a function may begin for the sake of indirect calls alone. ``dwarf_arguments`` are the numbers
    that DWARF has for the registers of arguments.
    """

    name: str
    header: str
    arguments: tuple[str, ...]
    syscall_arguments: tuple[str, ...]
    return_values: tuple[str, str]
    stack_pointer: str
    instruction_pointer: str
    return_sp_bytes: int
    first_stack_slot: int
    syscall_prefix: str
    registers: Mapping[str, str]
    dwarf_arguments: tuple[int, ...] = ()
    result_address: str = ""
    link_register: str = ""
    landing_pads: tuple[bytes, ...] = ()

    def __hash__(self) -> int:
        return hash(self.name)


_X86_64_REGISTERS = tuple(
    "r15 r14 r13 r12 bp bx r11 r10 r9 r8 ax cx dx si di orig_ax ip cs flags sp ss".split()  # noqa: SIM905 - reads as the list it is
)

X86_64 = Arch(
    name="x86_64",
    header="x86_64.h",
    arguments=("di", "si", "dx", "cx", "r8", "r9"),
    syscall_arguments=("di", "si", "dx", "r10", "r8", "r9"),
    return_values=("ax", "dx"),
    stack_pointer="sp",
    instruction_pointer="ip",
    return_sp_bytes=8,
    first_stack_slot=1,
    syscall_prefix="__x64_sys_",
    registers={
        **{name: name for name in _X86_64_REGISTERS},
        **{f"r{name}": name for name in ["ax", "bx", "cx", "dx", "si", "di", "bp", "sp", "ip"]},
    },
    dwarf_arguments=(5, 4, 1, 2, 8, 9),
    landing_pads=(bytes.fromhex("f30f1efa"),),  # endbr64
)

AARCH64 = Arch(
    name="aarch64",
    header="aarch64.h",
    arguments=tuple(f"regs[{n}]" for n in range(8)),
    syscall_arguments=("orig_x0", *(f"regs[{n}]" for n in range(1, 6))),
    return_values=("regs[0]", "regs[1]"),
    stack_pointer="sp",
    instruction_pointer="pc",
    return_sp_bytes=0,
    first_stack_slot=0,
    syscall_prefix="__arm64_sys_",
    registers={
        **{f"x{n}": f"regs[{n}]" for n in range(31)},
        "lr": "regs[30]",
        "sp": "sp",
        "pc": "pc",
        "pstate": "pstate",
    },
    dwarf_arguments=tuple(range(8)),
    result_address="regs[8]",
    link_register="regs[30]",
    landing_pads=(bytes.fromhex("5f2403d5"), bytes.fromhex("df2403d5")),  # bti c, bti jc
)


def arch_named(name: str) -> Arch:
    """The architecture that uname(1) calls ``name``. Raises `TargetError` for any other."""
    for arch in (X86_64, AARCH64):
        if arch.name == name:
            return arch
    raise TargetError(
        f"programs cannot be made for {name}",
        hint="x86_64 and aarch64 are known",
        code="OTHER_MACHINE",
    )
