"""A place in a program's code is held against the instructions there: a probe goes to a beginning.

The kernel does not look: it writes its breakpoint wherever it is told to, and what the program then
executes is another instruction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import SpecError, spec_error
from bpfprobe.resolve.arm64_instructions import arm64_refusal

if TYPE_CHECKING:
    from bpfprobe.model.machine import Binary, FileOffset, Instruction
    from bpfprobe.model.span import Span
    from bpfprobe.model.spec import UserPoint
    from bpfprobe.target import Target

_FORCE = "force=True or --force tries it all the same"

# What arch/x86/kernel/uprobes.c refuses of 64-bit programs: is_prefix_bad(), and of good_insns_64
# those that are instructions at all (ins, outs, int3, int, iret, in, out, int1, hlt, cli, sti).
_X86_PREFIXES = frozenset(bytes.fromhex("26 2e 36 3e 64 65 66 67 f0 f2 f3"))
_REFUSED_PREFIXES = {
    0xF0: "a LOCK prefix",
    0x26: "an ES prefix",
    0x2E: "a CS prefix",
    0x36: "an SS prefix",
    0x3E: "a DS prefix (or notrack, which is the same)",
}
_REFUSED_OPCODES = frozenset(
    bytes.fromhex("6c 6d 6e 6f cc cd cf e4 e5 e6 e7 ec ed ee ef f1 f4 fa fb")
)


def boundary_note(
    point: UserPoint, here: FileOffset, span: Span, target: Target, binary: Binary
) -> str:
    """Why it could not be told whether an instruction begins at the place; empty where one does.

    Raises `SpecError`: BAD_INSN_BNDRY for a place inside of an instruction, NOT_SUPPORTED for an
    instruction that the kernel does not probe; `TargetError`.
    """
    is_start = bool(point.symbol) and not point.plus
    if point.force:
        return (
            "" if is_start else "whether an instruction begins there is not checked: it was forced"
        )
    found = target.instruction_at(binary, here, is_start)
    if found.unknown:
        return f"whether an instruction begins there is not checked: {found.unknown}"
    if found.start != here:
        raise _inside(point, here, span, binary, found)
    if reason := _refusal(found, binary.machine):
        # Where no process runs the file yet the attach would succeed, and nothing would ever come.
        what = f"`{found.text}`" if found.text else "the instruction there"
        behind = _shown(point, here, here + found.size)
        raise spec_error(
            "NOT_SUPPORTED",
            f"the kernel does not probe {what}: {reason}",
            span,
            (f"the next instruction is at {behind}; " if found.size else "") + _FORCE,
        )
    return ""


def _inside(
    point: UserPoint, here: FileOffset, span: Span, binary: Binary, found: Instruction
) -> SpecError:
    first = _shown(point, here, found.start)
    behind = _shown(point, here, found.start + found.size)
    what = f"`{found.text}`" if found.text else "an instruction"
    return spec_error(
        "BAD_INSN_BNDRY",
        f"{_shown(point, here, here)} of {binary.path} is inside of {what}, which "
        f"goes from {first} to {behind}",
        span,
        f"probe {first} or {behind}; {_FORCE}",
    )


def _refusal(found: Instruction, machine: str) -> str:
    """What of an instruction the kernel does not follow, empty where nothing is known."""
    if machine == "aarch64":
        return arm64_refusal(bytes.fromhex(found.encoding))
    if machine != "x86_64":
        return ""
    for byte in bytes.fromhex(found.encoding):
        if byte in _REFUSED_PREFIXES:
            return f"it has {_REFUSED_PREFIXES[byte]}"
        if byte not in _X86_PREFIXES:
            return f"its opcode is {byte:02x}" if byte in _REFUSED_OPCODES else ""
    return ""


def _shown(point: UserPoint, here: FileOffset, offset: int) -> str:
    """A place in the words that the user chose."""
    distance = offset - here
    if point.symbol:
        plus = point.plus + distance
        return f"{point.symbol}+{plus:#x}" if plus else point.symbol
    if point.address is not None:
        return f"address {point.address + distance:#x}"
    return f"offset {offset:#x}"
