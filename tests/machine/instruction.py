"""A BPF instruction, taken apart. Source: the kernel's Documentation/bpf/instruction-set.rst."""

from __future__ import annotations

import struct
from dataclasses import dataclass

SIZE = 8
LD_IMM64 = 0x18  # the one instruction of two slots
MAP_FD, MAP_VALUE = 1, 2  # its source register: BPF_PSEUDO_MAP_FD, BPF_PSEUDO_MAP_VALUE

_FORM = struct.Struct("<BBhi")


@dataclass(frozen=True, slots=True)
class Instruction:
    """One slot. ``wide`` is the immediate of the second slot of an ``ld_imm64``, else 0."""

    opcode: int
    target: int
    source: int
    offset: int
    immediate: int
    wide: int = 0


def decode(code: bytes) -> tuple[Instruction, ...]:
    """All slots of a program. A second slot stands there too, so that jumps count as they do."""
    if not code or len(code) % SIZE:
        raise ValueError(f"{len(code)} bytes are no BPF instructions")
    slots = list(_FORM.iter_unpack(code))
    found = []
    for number, (opcode, registers, offset, immediate) in enumerate(slots):
        wide = 0
        if opcode == LD_IMM64:
            if number + 1 == len(slots):
                raise ValueError("the second half of an ld_imm64 is missing")
            wide = slots[number + 1][3]
        found.append(Instruction(opcode, registers & 15, registers >> 4, offset, immediate, wide))
    return tuple(found)
