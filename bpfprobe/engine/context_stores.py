"""Whether a program writes to its context: the registers of the program that it traces.

Newer kernels ("bpf: Allow uprobe program to change context registers", by Jiri Olsa) let a program
at a uprobe store there, so that the traced program goes elsewhere: Linux 6.18 refuses it, 7.3 does
not. Programs of ours never do; one from a file may be anybody's.
"""

from __future__ import annotations

import struct

from bpfprobe.engine.bpf import INSTRUCTION_SIZE
from bpfprobe.errors import LoadError
from bpfprobe.model.noun import dataclass, replace

_INSTRUCTION = struct.Struct("<BBhi")
_CLASS = 0x07
_LD, _LDX, _ST, _STX, _ALU, _JMP, _JMP32, _ALU64 = range(8)
_LD_IMM64, _CALL, _EXIT, _JA, _JA32 = 0x18, 0x85, 0x95, 0x05, 0x06
_MOV, _FROM_REGISTER = 0xB0, 0x08
_FRAME = 10
_CONTEXT, _STACK = 1, 2


@dataclass(frozen=True, slots=True)
class _State:
    """What each register may hold (bits), and the offsets from r10 where the context may be.

    None among the offsets stands for an unknown one.
    """

    registers: tuple[int, ...]
    slots: frozenset[int | None]


_BEGINNING = _State((0, _CONTEXT, 0, 0, 0, 0, 0, 0, 0, 0, _STACK), frozenset())


def writes_context(instructions: bytes) -> bool:
    """Return whether a store may go to what ``r1`` points to at the beginning.

    Every path is followed, with all that registers and the stack may hold: what is not a
    store to the context on any path is not taken for one. Raises `LoadError` (BYTECODE) where a
    jump leads nowhere.
    """
    count = len(instructions) // INSTRUCTION_SIZE
    code = list(_INSTRUCTION.iter_unpack(instructions[: count * INSTRUCTION_SIZE]))
    seen: dict[int, _State] = {}
    waiting = [(0, _BEGINNING)]
    while waiting:
        at, state = waiting.pop()
        if not 0 <= at < count:
            raise LoadError("the program goes on beyond its end", code="BYTECODE")
        known = seen.get(at)
        if known is not None:
            state = _either(known, state)
            if state == known:
                continue
        seen[at] = state
        opcode, registers, offset, number = code[at]
        kind, to = opcode & _CLASS, registers & 0x0F
        if kind in (_ST, _STX) and to < _FRAME and state.registers[to] & _CONTEXT:
            return True
        after = _after(state, code[at])
        waiting += [(place, after) for place in _next(at, opcode, offset, number)]
    return False


def _next(at: int, opcode: int, offset: int, number: int) -> tuple[int, ...]:
    if opcode == _EXIT:
        return ()
    if opcode == _JA:
        return (at + 1 + offset,)
    if opcode == _JA32:
        return (at + 1 + number,)
    if opcode == _LD_IMM64:
        return (at + 2,)
    if opcode & _CLASS in (_JMP, _JMP32) and opcode != _CALL:
        return at + 1, at + 1 + offset
    return (at + 1,)


def _after(state: _State, instruction: tuple[int, int, int, int]) -> _State:
    opcode, registers, offset, _ = instruction
    kind, to, source = opcode & _CLASS, registers & 0x0F, registers >> 4
    if max(to, source) > _FRAME:
        return state  # the verifier refuses it
    held = state.registers
    if kind in (_ALU, _ALU64):
        bits = held[source] if opcode & _FROM_REGISTER else 0
        return _with(state, to, bits if opcode & 0xF0 == _MOV else bits | held[to])
    if kind == _LDX:
        return _with(state, to, _CONTEXT if _may_load_context(state, source, offset) else 0)
    if kind == _LD:
        return _with(state, to if opcode == _LD_IMM64 else 0, 0)
    if opcode == _CALL:
        return replace(state, registers=(0, 0, 0, 0, 0, 0, *held[6:]))
    if kind in (_ST, _STX) and held[to] & _STACK:
        return _stored(state, to, offset, bool(kind == _STX and held[source] & _CONTEXT))
    return state


def _may_load_context(state: _State, source: int, offset: int) -> bool:
    if source == _FRAME:
        return offset in state.slots or None in state.slots
    return bool(state.registers[source] & _STACK and state.slots)


def _stored(state: _State, to: int, offset: int, is_context: bool) -> _State:
    slot = offset if to == _FRAME else None
    if is_context:
        return replace(state, slots=state.slots | {slot})
    return replace(state, slots=state.slots - {slot}) if slot is not None else state


def _with(state: _State, register: int, bits: int) -> _State:
    held = state.registers
    if held[register] == bits:
        return state
    return replace(state, registers=(*held[:register], bits, *held[register + 1 :]))


def _either(one: _State, other: _State) -> _State:
    held = tuple(a | b for a, b in zip(one.registers, other.registers, strict=True))
    return _State(held, one.slots | other.slots)
