"""What a program may do besides computing, checked before it is loaded, wherever it came from.

The verifier looks after the kernel's memory, not after what a program is for: with root's rights it
lets one kill processes and write to their memory. Ours only look.
"""

from __future__ import annotations

from bpfprobe.engine.bpf import INSTRUCTION_SIZE
from bpfprobe.errors import LoadError

ALLOWED_HELPERS = frozenset(
    {1, 2, 3, 5, 8, 14, 15, 16, 25, 35, 67, 80, 112, 113, 114, 115, 120, 130, 131, 132, 174}
)
"""Numbers of enum bpf_func_id in <linux/bpf.h>: those that templates/kconfig.h declares."""

_WORSE = {
    36: "bpf_probe_write_user",
    58: "bpf_override_return",
    109: "bpf_send_signal",
    117: "bpf_send_signal_thread",
}
_CALL, _LD_IMM64 = 0x85, 0x18
_OTHER_CALLS = (b"\x86", b"\x8d", b"\x0d")
"""Calls and jumps to what a register holds, and one that has no meaning yet."""
_NUMBERS_AND_MAPS = (0, 1, 2)
"""Source registers of ld_imm64 for a number, a map and a map's value; others name kernel data."""


def check_calls(name: str, instructions: bytes) -> None:
    """Raise `LoadError` (FORBIDDEN_CALL) where a program may do what none of ours does."""
    opcodes = instructions[::INSTRUCTION_SIZE]
    at = opcodes.find(_CALL)
    while at >= 0:
        start = at * INSTRUCTION_SIZE
        number = int.from_bytes(instructions[start + 4 : start + 8], "little")
        if instructions[start + 1] >> 4:
            raise forbidden(name, "calls a function that is not a helper (a kfunc, say)")
        if number not in ALLOWED_HELPERS:
            raise forbidden(name, f"calls {_WORSE.get(number, f'the helper {number}')}")
        at = opcodes.find(_CALL, at + 1)
    at = opcodes.find(_LD_IMM64)
    while at >= 0:
        if instructions[at * INSTRUCTION_SIZE + 1] >> 4 not in _NUMBERS_AND_MAPS:
            raise forbidden(name, "takes the address of something that is not a map")
        at = opcodes.find(_LD_IMM64, at + 1)
    if any(opcode in opcodes for opcode in _OTHER_CALLS):
        raise forbidden(name, "calls what a register holds")


def forbidden(name: str, what: str) -> LoadError:
    """Return the refusal of a program that does what none of ours does."""
    return LoadError(
        f"the program {name} {what}, which no program of bpfprobe does",
        hint="it was not built by bpfprobe, or was changed since: build it again",
        code="FORBIDDEN_CALL",
    )
