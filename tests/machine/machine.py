"""A machine that runs BPF programs without a kernel, and counts what they do.

::

    machine = Machine(Task(pid=17), {0: MapDef("events", MapKind.RINGBUF, 0, 0, 4096)})
    machine.memory.place(0x5000, b"/etc/hostname\\0")
    done = machine.run(code, context)
    done.executed, done.calls, machine.buffer(0).take()

One CPU, one program at a time; nothing is verified, but a program that touches what it may not, or
does not end, is stopped. An ``ld_imm64`` counts as one instruction, and so does a call.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.machine import arithmetic
from tests.machine.helpers import HELPERS
from tests.machine.instruction import LD_IMM64, MAP_FD, MAP_VALUE, Instruction, decode
from tests.machine.maps import Channel, Table, make_map
from tests.machine.memory import Fault, Memory

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bpfprobe.model.object import MapDef

STACK_SIZE = 512
MOST_INSTRUCTIONS = 1_000_000
HANDLE = 0xFFFF_9000_0000_0000  # what stands for a map; memory of nobody
WIDTHS = {0x00: 4, 0x08: 2, 0x10: 1, 0x18: 8}
_ATOMIC, _SIGN_EXTENDING = 0xC0, 0x80  # modes of a load or store
_FETCH, _EXCHANGE_IF = 0x01, 0xF1
_SWAP, _JUMP, _CALL, _EXIT = 0xD0, 0x00, 0x80, 0x90


class ProgramError(Exception):
    """The program did what no program may; says where."""


@dataclass(frozen=True, slots=True)
class Task:
    """What runs when a probe is hit."""

    pid: int = 4099
    tid: int | None = None
    uid: int = 1009
    gid: int = 1013
    comm: str = "worker"
    cpu: int = 1
    cgroup: int = 7919
    address: int = 0xFFFF_8880_0100_0000
    """Its task_struct."""

    @property
    def thread(self) -> int:
        """As bpf_get_current_pid_tgid gives it."""
        return self.pid << 32 | (self.pid if self.tid is None else self.tid)

    @property
    def user(self) -> int:
        """As bpf_get_current_uid_gid gives it."""
        return self.gid << 32 | self.uid


@dataclass(frozen=True, slots=True)
class Run:
    """What a program did."""

    result: int
    executed: int
    calls: Mapping[str, int] = field(default_factory=dict)
    """Helpers by name, and how often each was called."""
    visits: Mapping[int, int] = field(default_factory=dict)
    """Slots of the program, and how often each was executed."""


class Machine:
    """Maps and memory that outlive a program; ``maps`` are under the numbers that programs use."""

    def __init__(self, task: Task, maps: Mapping[int, MapDef], now_ns: int = 10**12) -> None:
        self.task = task
        self.memory = Memory()
        self.reserved: dict[int, Channel] = {}
        self._now_ns = now_ns
        self._maps = {number: make_map(made, self.memory) for number, made in maps.items()}

    def tick(self) -> int:
        """The time, which goes on."""
        self._now_ns += 1009
        return self._now_ns

    def map_at(self, handle: int) -> Table | Channel:
        """The map that a program means."""
        if handle - HANDLE not in self._maps:
            raise Fault(f"{handle:#x} is no map")
        return self._maps[handle - HANDLE]

    def buffer(self, number: int) -> Channel:
        """A ring or perf buffer."""
        found = self._maps[number]
        assert isinstance(found, Channel)
        return found

    def table(self, number: int) -> Table:
        """Any other map."""
        found = self._maps[number]
        assert isinstance(found, Table)
        return found

    def run(self, code: bytes, context: bytes) -> Run:
        """Run a program to its end. Raises `ProgramError`."""
        return _Execution(self, decode(code), context).run()

    def address_of(self, instruction: Instruction) -> int:
        """What an ``ld_imm64`` loads."""
        if instruction.source == MAP_FD:
            return HANDLE + instruction.immediate
        if instruction.source == MAP_VALUE:
            return self.table(instruction.immediate).address(bytes(4)) + instruction.wide
        if instruction.source:
            raise Fault(f"an ld_imm64 of kind {instruction.source}")
        return (instruction.wide & arithmetic.U32) << 32 | instruction.immediate & arithmetic.U32


class _Execution:
    """One run of one program."""

    def __init__(self, machine: Machine, code: tuple[Instruction, ...], context: bytes) -> None:
        self._machine, self._memory, self._code = machine, machine.memory, code
        self._stack = self._memory.make(bytes(STACK_SIZE))
        self._context = self._memory.make(context)
        self._registers = [0] * 11
        self._registers[1] = self._context
        self._registers[10] = self._stack + STACK_SIZE
        self._at = 0
        self._calls: Counter[str] = Counter()
        self._visits: Counter[int] = Counter()

    def run(self) -> Run:
        executed = 0
        try:
            while True:
                instruction = self._code[self._at]
                self._visits[self._at] += 1
                executed += 1
                if executed > MOST_INSTRUCTIONS:
                    raise ProgramError(f"{MOST_INSTRUCTIONS} instructions and no end")
                if instruction.opcode == _EXIT | 5:
                    return Run(self._registers[0], executed, self._calls, self._visits)
                self._step(instruction)
                self._at += 1
        except (Fault, IndexError, ValueError) as error:
            raise ProgramError(f"instruction {self._at}: {error}") from error
        finally:
            self._memory.drop(self._stack)
            self._memory.drop(self._context)

    def _step(self, instruction: Instruction) -> None:
        kind = instruction.opcode & 7
        if kind in (4, 7):
            self._compute(instruction, 64 if kind == 7 else 32)
        elif kind in (5, 6):
            self._jump(instruction, 64 if kind == 5 else 32)
        elif kind == 1:
            self._load(instruction)
        elif kind in (2, 3):
            self._store(instruction)
        elif instruction.opcode == LD_IMM64:
            self._registers[instruction.target] = self._machine.address_of(instruction)
            self._at += 1
        else:
            raise ValueError(f"opcode {instruction.opcode:#x} is not known here")

    def _operand(self, instruction: Instruction) -> int:
        if instruction.opcode & 8:
            return self._registers[instruction.source]
        return instruction.immediate & arithmetic.U64

    def _compute(self, instruction: Instruction, bits: int) -> None:
        operation, target = instruction.opcode & 0xF0, instruction.target
        old = self._registers[target]
        if instruction.offset:
            raise ValueError("arithmetic of the fourth version of the instruction set")
        if operation == _SWAP:
            big = bool(instruction.opcode & 8)
            self._registers[target] = arithmetic.swapped(old, instruction.immediate, big=big)
            return
        number = self._operand(instruction)
        self._registers[target] = arithmetic.compute(operation, old, number, bits)

    def _jump(self, instruction: Instruction, bits: int) -> None:
        operation = instruction.opcode & 0xF0
        if operation == _CALL:
            self._call(instruction)
        elif operation == _JUMP or arithmetic.holds(
            operation, self._registers[instruction.target], self._operand(instruction), bits
        ):
            self._at += instruction.offset

    def _call(self, instruction: Instruction) -> None:
        if instruction.source or instruction.immediate not in HELPERS:
            raise ValueError(f"a call of {instruction.immediate}, which is no helper known here")
        name, helper = HELPERS[instruction.immediate]
        self._calls[name] += 1
        result = helper(self._machine, *self._registers[1:6])
        self._registers[0] = result & arithmetic.U64

    def _load(self, instruction: Instruction) -> None:
        if instruction.opcode & 0xE0 not in (0x60, _SIGN_EXTENDING):
            raise ValueError(f"a load of opcode {instruction.opcode:#x}")
        width = WIDTHS[instruction.opcode & 0x18]
        address = (self._registers[instruction.source] + instruction.offset) & arithmetic.U64
        extended = instruction.opcode & 0xE0 == _SIGN_EXTENDING
        number = int.from_bytes(self._memory.load(address, width), "little", signed=extended)
        self._registers[instruction.target] = number & arithmetic.U64

    def _store(self, instruction: Instruction) -> None:
        width = WIDTHS[instruction.opcode & 0x18]
        address = (self._registers[instruction.target] + instruction.offset) & arithmetic.U64
        is_register = instruction.opcode & 7 == 3
        number = self._registers[instruction.source] if is_register else instruction.immediate
        if instruction.opcode & 0xE0 == _ATOMIC:
            number = self._exchanged(instruction, address, width)
        mask = (1 << 8 * width) - 1
        self._memory.store(address, (number & mask).to_bytes(width, "little"))

    def _exchanged(self, instruction: Instruction, address: int, width: int) -> int:
        """What an atomic instruction writes, after it has put away what was there."""
        old = int.from_bytes(self._memory.load(address, width), "little")
        number = self._registers[instruction.source]
        operation = instruction.immediate
        if operation == _EXCHANGE_IF:
            expected = self._registers[0] & ((1 << 8 * width) - 1)
            self._registers[0] = old
            return number if old == expected else old
        if operation & _FETCH:
            self._registers[instruction.source] = old
        return arithmetic.combined(operation & ~_FETCH, old, number)
