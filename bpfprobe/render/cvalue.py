"""Prints values as C: statements that read memory, and an expression for the result.

Every expression has type u64 and holds the value as C would convert it: signed types are extended
by their sign. What can fault has a variable of its own that is not 0 when it did; a read through a
faulted address faults again, so a chain needs no branches.
"""

from __future__ import annotations

from contextlib import contextmanager
from enum import Enum
from typing import TYPE_CHECKING

from bpfprobe.errors import BpfprobeError
from bpfprobe.model.noun import dataclass
from bpfprobe.model.value import (
    Argument,
    BinaryOperation,
    Builtin,
    BuiltinValue,
    ByPlace,
    Constant,
    ContextAddress,
    ContextField,
    Duration,
    Kept,
    Load,
    Parameter,
    PlaceNumber,
    RegisterValue,
    ReturnValue,
    Space,
    SymbolAddress,
    SyscallArgument,
    Truth,
    UnaryOperation,
    Value,
    View,
)
from bpfprobe.render.origins import OriginRegister

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bpfprobe.model.arch import Arch
    from bpfprobe.model.plan import RangeRead
    from bpfprobe.model.scalar import Scalar
    from bpfprobe.model.span import Span
    from bpfprobe.model.value import Condition
    from bpfprobe.render.structs import StructRegister

_GET_COMM = "bpf_get_current_comm"
_SYSCALL_FIRST_ARGUMENT = 16  # bytes into the record of a system-call tracepoint
_DIVISIONS = {"/": "QUOTIENT", "%": "REMAINDER"}
READERS = {Space.KERNEL: "probe_read_kernel", Space.USER: "probe_read_user"}


class Context(Enum):
    """What the program is handed."""

    REGISTERS = "struct pt_regs *ctx"
    RECORD = "void *ctx"


@dataclass(frozen=True, slots=True)
class CExpression:
    """C for a value, and C that is not 0 when it could not be read ("" for what cannot fail)."""

    text: str
    fault: str = ""


class ValueWriter:
    """Writes the statements of one program, and remembers what has been read already."""

    def __init__(
        self,
        arch: Arch,
        structs: StructRegister,
        context: Context,
        *,
        kept: Mapping[Value, CExpression] | None = None,
        kept_time: str = "",
        origins: OriginRegister | None = None,
        place: int = 0,
        thread: str = "thread",
    ) -> None:
        self.lines: list[str] = []
        self.arch = arch
        self._structs = structs
        self.context = context
        self._kept = dict(kept or {})
        self._kept_time = kept_time
        self._origins = origins or OriginRegister()
        self.place = place
        self.thread = thread
        self._known: dict[Value | str, CExpression] = {}  # also the results of calls
        self._numbers = 0
        self._depth = 1
        self._mark = ""
        self.print_condition: Callable[[Condition], str] | None = None

    def line(self, text: str) -> None:
        """Add a line at the current depth."""
        self.lines.append("    " * self._depth + text + self._mark if text else "")

    @contextmanager
    def doing(self, span: Span | None) -> Iterator[None]:
        """Lines written meanwhile do the work of that part of a description."""
        outer, self._mark = self._mark, self._origins.mark(span) if span else self._mark
        yield
        self._mark = outer

    def fresh(self, stem: str) -> str:
        """A variable name that is not in use."""
        self._numbers += 1
        return f"{stem}{self._numbers}"

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """A block; what is read inside of it is not known behind it."""
        self.line(f"{head} {{".lstrip())
        known, self._depth = dict(self._known), self._depth + 1
        yield
        self._known, self._depth = known, self._depth - 1
        self.line("}")

    @contextmanager
    def scope(self, *, own: bool) -> Iterator[None]:
        """A block if ``own`` says so: its variables give their place on the stack to the next."""
        if not own:
            yield
            return
        with self.block(""):
            yield

    def take(self) -> str:
        """The lines written so far; the next ones start afresh."""
        text = "\n".join(self.lines)
        self.lines = []
        return text

    def value(self, value: Value) -> CExpression:
        """C for a value, with the statements it needs written first."""
        found = self._known.get(value)
        if found is None:
            found = self._known[value] = self._print(value)
        return found

    def _print(self, value: Value) -> CExpression:
        match value:
            case Constant(number):
                return CExpression(c_constant(number))
            case Parameter(offset):
                return CExpression(parameter(offset))
            case Argument() | SyscallArgument() if value in self._kept:
                return self._kept[value]
            case Kept(inner):
                return self._from_entry(inner)
            case Argument(number, scalar):
                return CExpression(widened(register(self.arch.arguments[number - 1]), scalar))
            case SyscallArgument():
                return self._syscall_argument(value)
            case RegisterValue(member, scalar):
                return CExpression(widened(register(member), scalar))
            case ReturnValue(scalar, number):
                return CExpression(widened(self._return_value(number), scalar))
            case ContextField(offset, scalar):
                return CExpression(widened(_in_record(offset, scalar.size), scalar))
            case ContextAddress():
                return self._context_address(value)
            case BuiltinValue(builtin):
                return self._builtin(builtin)
            case Duration():
                return CExpression(f"(now - {self._kept_time})")
            case SymbolAddress(_, address):
                return CExpression(f"{address:#x}ULL")
            case Load():
                return self._load(value)
            case View(inner, scalar):
                seen = self.value(inner)
                return CExpression(widened(seen.text, scalar), seen.fault)
            case UnaryOperation(operator, operand):
                inside = self.value(operand)
                return CExpression(f"({operator}{inside.text})", inside.fault)
            case BinaryOperation():
                return self._operation(value)
            case PlaceNumber():
                return CExpression(self._once("place", "bpf_get_attach_cookie(ctx)"))
            case ByPlace(values, scalar):
                seen = self.value(values[self.place])
                return CExpression(widened(seen.text, scalar), seen.fault)
            case Truth(condition):
                assert self.print_condition is not None
                name, test = self.fresh("truth"), self.print_condition(condition)
                self.line(f"u64 {name} = {test};")  # now: what it looks at may be overwritten
                return CExpression(name)

    def _from_entry(self, inner: Value) -> CExpression:
        return self._kept.get(inner) or self.value(inner)

    def _return_value(self, number: int) -> str:
        if self.context is Context.RECORD:
            return _in_record(_SYSCALL_FIRST_ARGUMENT, 8)
        return register(self.arch.return_values[number])

    def _syscall_argument(self, value: SyscallArgument) -> CExpression:
        if self.context is Context.RECORD:
            at = _SYSCALL_FIRST_ARGUMENT + 8 * (value.number - 1)
            return CExpression(widened(_in_record(at, 8), value.type))
        name = self.fresh("argument")
        member = self.arch.syscall_arguments[value.number - 1]
        saved = f"((struct pt_regs *){register(self.arch.arguments[0])})"
        self.line(f"u64 {name};")
        self.line(f"probe_read_kernel(&{name}, sizeof({name}), &{saved}->{member});")
        return CExpression(widened(name, value.type))

    def _context_address(self, value: ContextAddress) -> CExpression:
        if not value.dynamic:
            return CExpression(f"((u64)ctx + {value.offset})")
        place = f"({_in_record(value.offset, 4)} & 0xffff)"
        extra = f" + {value.offset + 4}" if value.relative else ""
        return CExpression(f"((u64)ctx + {place}{extra})")

    def _builtin(self, builtin: Builtin) -> CExpression:
        if builtin is Builtin.PID:
            name = self.fresh("pid")
            self.line(f"u64 {name} = {self.thread} >> 32;")
            # Else a comparison is made with the constant shifted up, which takes stack for each.
            self.line(f'asm volatile("" : "+r"({name}));')
            return CExpression(name)
        if builtin is Builtin.TID:
            return CExpression(f"(u64)(u32){self.thread}")
        if builtin is Builtin.TIME:
            return CExpression("now")
        if builtin in (Builtin.UID, Builtin.GID):
            name = self._once("ids", "bpf_get_current_uid_gid()")
            return CExpression(f"(u64)(u32){name}" if builtin is Builtin.UID else f"({name} >> 32)")
        call = {
            Builtin.CPU: "bpf_get_smp_processor_id()",
            Builtin.CGROUP: "bpf_get_current_cgroup_id()",
            Builtin.TASK: "bpf_current_task_address()",
        }[builtin]
        return CExpression(self._once(builtin.value, call))

    def _once(self, stem: str, call: str) -> str:
        found = self._known.get(call)
        if found is None:
            name = self.fresh(stem)
            self.line(f"u64 {name} = {call};")
            found = self._known[call] = CExpression(name)
        return found.text

    def comm(self) -> str:
        """C for 16 bytes, aligned, that hold the name of the thread."""
        found = self._known.get(_GET_COMM)
        if found is None:
            name = self.fresh("comm")
            self.line(f"u64 {name}[2];")
            self.line(f"{_GET_COMM}({name}, sizeof({name}));")
            found = self._known[_GET_COMM] = CExpression(name)
        return found.text

    def put_comm(self, place: str, *, reused: bool) -> None:
        """Put the name of the thread into a field; ``reused`` says that others may look there."""
        found = self._known.get(_GET_COMM)
        if found is not None:
            self.line(f"__builtin_memcpy({place}, {found.text}, sizeof({place}));")
            return
        self.line(f"{_GET_COMM}({place}, sizeof({place}));")
        if reused:
            self._known[_GET_COMM] = CExpression(place)

    def _load(self, value: Load) -> CExpression:
        name = self.fresh("value")
        self.line(f"{value.type.c_name} {name};")  # the kernel clears it where it cannot read
        fault = self.load_into(name, value)
        return CExpression(_bits(name, value) if value.bit_size else f"(u64){name}", fault)

    def is_known(self, value: Value) -> bool:
        """Whether the value has been read, where that still holds."""
        return value in self._known

    def load_into(self, place: str, value: Load) -> str:
        """Read a number into a place of its size; C that is not 0 where that failed."""
        return self._read_into(place, f"sizeof({place})", value)

    def range_into(self, place: str, read: RangeRead) -> str:
        """Read members of a struct to where the first of them belongs, likewise."""
        for load in read.loads:  # so that the place of each is asserted
            self._structs.use(load.struct, load.member, load.offset, load.type)
        return self._read_into(place, str(read.size), read.loads[0])

    def _read_into(self, place: str, size: str, value: Load) -> str:
        base = self.value(value.base)
        fault = self.fresh("fault")
        if value.struct and value.member:
            struct, member = self._structs.use(value.struct, value.member, value.offset, value.type)
            source = f"&(({struct} *)({base.text}))->{member}"
        else:
            source = f"(void *)({base.text} + {c_constant(value.offset)})"
        if value.space not in READERS:
            raise BpfprobeError("a number in memory of an unknown kind reached the printer")
        earlier = f"{base.fault} | " if base.fault else ""
        read = f"{READERS[value.space]}(&{place}, {size}, {source})"
        self.line(f"long {fault} = {earlier}{read};")
        return fault

    def _operation(self, value: BinaryOperation) -> CExpression:
        left, right = self.value(value.left), self.value(value.right)
        fault = " | ".join(part for part in (left.fault, right.fault) if part)
        by = right.text
        if not isinstance(value.right, Constant):
            # As BPF has it: what C leaves open the compiler takes for impossible.
            if value.operator in _DIVISIONS:
                return CExpression(f"{_DIVISIONS[value.operator]}({left.text}, {by})", fault)
            by = f"({by} & 63)" if value.operator in ("<<", ">>") else by
        if value.operator == ">>" and value.left.type.signed:
            return CExpression(f"(u64)((s64){left.text} >> {by})", fault)
        return CExpression(f"({left.text} {value.operator} {by})", fault)


def register(member: str) -> str:
    """C for a register at the probe, by its member of ``struct pt_regs``."""
    return f"REGISTER({member})"


def read_memory(space: Space, to: str, size: str, pointer: str) -> str:
    """A call that copies memory and is not 0 where that fails."""
    if space is Space.ANY:
        return f"read_any({to}, {size}, {pointer})"
    return f"{READERS[space]}({to}, {size}, (void *)({pointer}))"


def parameter(offset: int, index: str = "0") -> str:
    """C for a u64 of what the program is handed, or the one that is ``index`` behind it."""
    return f"PARAMETER({offset}, {index})"


def _in_record(offset: int, size: int) -> str:
    return f"IN_CONTEXT({8 * size}, {offset})"


def widened(text: str, scalar: Scalar) -> str:
    """``text`` cut to the scalar and extended to 64 bits as its sign says."""
    if scalar.size == 8:
        return f"(u64){text}"
    return f"(u64)({scalar.c_name})({text})"


def c_constant(number: int) -> str:
    """A number as C: the only way a number of the user's gets into a program."""
    if number >= 1 << 63:
        return f"{number:#x}ULL"
    if number == -(1 << 63):
        return "((u64)1 << 63)"
    return f"{number}ULL" if number >= 0 else f"((u64)-{-number}LL)"


def _bits(name: str, value: Load) -> str:
    """A bit field out of its unit: moved to the top, then down again with its sign or without."""
    top = 64 - value.bit_size - value.bit_offset
    kind = "s64" if value.type.signed else "u64"
    return f"(u64)(({kind})((u64){name} << {top}) >> {64 - value.bit_size})"
