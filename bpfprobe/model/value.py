"""Values with every name resolved: what the C is printed from.

A `Value` is a number that the program can compute; its ``type`` is a `Scalar`. A `TextValue` is
a string somewhere, an `ArrayValue` several numbers in memory. A `Condition` is true or false.
Nothing here holds text from the user except as bytes of a literal.
"""

from __future__ import annotations

from enum import Enum

from bpfprobe.model.noun import dataclass
from bpfprobe.model.scalar import S64, U8, U32, U64, X64, Scalar
from bpfprobe.model.stack import StackValue


class Space(Enum):
    """Which memory a pointer points into.

    ANY is decided by the address when the program runs, as the kernel's own ``string`` type does
    where the two spaces do not overlap (CONFIG_ARCH_HAS_NON_OVERLAPPING_ADDRESS_SPACE).
    """

    KERNEL = "kernel"
    USER = "user"
    ANY = "any"


class Builtin(Enum):
    """What can be asked of the current task or moment."""

    PID = "pid"  # the process, as user space counts (the kernel's tgid)
    TID = "tid"  # the thread (the kernel's pid)
    UID = "uid"
    GID = "gid"
    CPU = "cpu"
    TIME = "time"  # nanoseconds, CLOCK_MONOTONIC
    CGROUP = "cgroup"  # id of the cgroup v2
    TASK = "task"  # address of the task_struct


BUILTIN_TYPES = {
    Builtin.PID: U32,
    Builtin.TID: U32,
    Builtin.UID: U32,
    Builtin.GID: U32,
    Builtin.CPU: U32,
    Builtin.TIME: U64,
    Builtin.CGROUP: U64,
    Builtin.TASK: X64,
}


@dataclass(frozen=True, slots=True)
class Constant:
    """A number that is known now."""

    value: int

    @property
    def type(self) -> Scalar:
        """Signed unless it only fits unsigned."""
        return U64 if self.value >= 1 << 63 else S64


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number that the program is handed, so that it can change while the code stays.

    ``offset`` is its place among the parameters; ``value`` is what it is now, which the code does
    not depend on. A comparison is signed or not as its other side says.
    """

    offset: int
    value: int
    type: Scalar = S64


@dataclass(frozen=True, slots=True)
class Argument:
    """Argument ``number`` (from 1) of the function, as the calling convention passes it.

    In a return probe it is the value it had on entry.
    """

    number: int
    type: Scalar = X64


@dataclass(frozen=True, slots=True)
class SyscallArgument:
    """Argument ``number`` (from 1) of a system call, out of the caller's saved registers."""

    number: int
    type: Scalar = X64


@dataclass(frozen=True, slots=True)
class RegisterValue:
    """A register at the probe, by its member of ``struct pt_regs``."""

    member: str
    type: Scalar = X64


@dataclass(frozen=True, slots=True)
class ReturnValue:
    """What the function returned: its first eight bytes, or with ``number`` 1 those after them."""

    type: Scalar = S64
    number: int = 0


@dataclass(frozen=True, slots=True)
class ContextField:
    """A number in the record of a tracepoint, ``offset`` bytes from its start."""

    offset: int
    type: Scalar


@dataclass(frozen=True, slots=True)
class ContextAddress:
    """The address of something in the record of a tracepoint.

    With ``dynamic`` the u32 at ``offset`` tells where it is (``__data_loc``), and with ``relative``
    it counts from behind that u32 (``__rel_loc``).
    """

    offset: int
    dynamic: bool = False
    relative: bool = False
    type: Scalar = X64


@dataclass(frozen=True, slots=True)
class BuiltinValue:
    """Something of the current task or moment."""

    builtin: Builtin

    @property
    def type(self) -> Scalar:
        """The builtin's own type."""
        return BUILTIN_TYPES[self.builtin]


@dataclass(frozen=True, slots=True)
class Duration:
    """Nanoseconds between entry and return."""

    type: Scalar = U64


@dataclass(frozen=True, slots=True)
class SymbolAddress:
    """The address of a kernel symbol, or a fixed one."""

    symbol: str
    address: int
    type: Scalar = X64


@dataclass(frozen=True, slots=True)
class Load:
    """A number in memory at ``base + offset``.

    ``struct`` and ``member`` say in the kernel's words what stands there; both empty for a bare
    address. For a bit field ``bit_size`` is not 0 and ``bit_offset`` counts from the lowest bit.
    """

    base: Value
    offset: int
    type: Scalar
    space: Space
    struct: str = ""
    member: str = ""
    bit_offset: int = 0
    bit_size: int = 0


@dataclass(frozen=True, slots=True)
class Kept:
    """A value taken on entry and kept for the return."""

    value: Value

    @property
    def type(self) -> Scalar:
        """The type of what was kept."""
        return self.value.type


@dataclass(frozen=True, slots=True)
class View:
    """The same bits, cut and looked at as another type."""

    value: Value
    type: Scalar


@dataclass(frozen=True, slots=True)
class UnaryOperation:
    """``-x`` or ``~x``."""

    operator: str
    operand: Value
    type: Scalar


@dataclass(frozen=True, slots=True)
class BinaryOperation:
    """Arithmetic in 64 bits, signed where ``type`` is; as in BPF x / 0 is 0, and x << 65 x << 1."""

    operator: str
    left: Value
    right: Value
    type: Scalar


@dataclass(frozen=True, slots=True)
class PlaceNumber:
    """Which place of a probe was hit, from 0: the cookie it was attached with (Linux 5.15)."""

    type: Scalar = U32


@dataclass(frozen=True, slots=True)
class ByPlace:
    """A value that is found elsewhere at each place of a probe; ``values`` go by place."""

    values: tuple[Value, ...]
    type: Scalar


@dataclass(frozen=True, slots=True)
class Truth:
    """A condition as a number, 0 or 1."""

    condition: Condition
    type: Scalar = U8


Value = (
    Constant
    | Parameter
    | Argument
    | SyscallArgument
    | RegisterValue
    | ReturnValue
    | ContextField
    | ContextAddress
    | BuiltinValue
    | Duration
    | SymbolAddress
    | Load
    | Kept
    | View
    | UnaryOperation
    | BinaryOperation
    | PlaceNumber
    | ByPlace
    | Truth
)


@dataclass(frozen=True, slots=True)
class TextAt:
    """A string in memory, up to its NUL; ``size`` bounds it where the type does (0: no bound)."""

    pointer: Value
    space: Space
    size: int = 0

    @property
    def most(self) -> int:
        """Bytes with the NUL, which need not stand in the array; 0 for no bound."""
        return self.size + 1 if self.size else 0


@dataclass(frozen=True, slots=True)
class CommText:
    """The name of the current thread, at most 15 bytes."""


@dataclass(frozen=True, slots=True)
class ConstantText:
    """Text that is the same in every event."""

    value: bytes


@dataclass(frozen=True, slots=True)
class PlaceText:
    """The name of the place that was hit, one of ``names``."""

    names: tuple[str, ...]


TextValue = TextAt | CommText | ConstantText | PlaceText


@dataclass(frozen=True, slots=True)
class ArrayValue:
    """``count`` numbers in memory, one after another.

    Where they are bit fields, each is ``bit_size`` bits of its element, from ``bit_offset`` on.
    """

    pointer: Value
    element: Scalar
    count: int
    space: Space
    bit_offset: int = 0
    bit_size: int = 0


@dataclass(frozen=True, slots=True)
class BytesAt:
    """``length`` bytes in memory, whatever they are; none where it is negative."""

    pointer: Value
    length: Value
    space: Space


@dataclass(frozen=True, slots=True)
class TextArray:
    """Strings, to which ``count`` pointers lead that stand in memory one after another."""

    pointer: Value
    count: int
    pointers: Space
    space: Space


@dataclass(frozen=True, slots=True)
class ArgumentVector:
    """The arguments of a program.

    ``vector`` is the address in user memory of an array of pointers that ends with a null pointer;
    ``start`` and ``end`` bound the same strings as the kernel laid them out in a running program.
    ``replaced`` (a condition) says when the second holds: after a successful exec.
    """

    start: Value
    end: Value
    vector: Value | None = None
    replaced: Condition | None = None


Capturable = Value | TextValue | ArrayValue | BytesAt | TextArray | ArgumentVector | StackValue


@dataclass(frozen=True, slots=True)
class Compare:
    """Two numbers; ``operator`` is one of ``== != < <= > >=``."""

    operator: str
    left: Value
    right: Value


@dataclass(frozen=True, slots=True)
class TextEquals:
    """A string is, or with ``negated`` is not, exactly these bytes. A fault is neither."""

    text: TextValue
    literal: bytes
    negated: bool = False


@dataclass(frozen=True, slots=True)
class TextMatches:
    """A string fits a glob (``*``, ``?``, ``[a-z]``, ``[!a-z]``) as the kernel's glob_match()."""

    text: TextValue
    pattern: bytes
    negated: bool = False


@dataclass(frozen=True, slots=True)
class MaskedText:
    """A comparison of text, done by words and masks that the program is handed.

    Of ``asked`` the code depends on the text, and on whether it is negated. ``room`` is how many
    bytes of the text are looked at, a multiple of 8. At ``offset`` of the parameters stand, for
    each 8 of them, the mask and the word that must be under it.
    """

    asked: TextEquals | TextMatches
    offset: int
    room: int


@dataclass(frozen=True, slots=True)
class GlobText:
    """A glob, done by a table that the program is handed; see `bpfprobe.plan.patterns`.

    Of ``asked`` the code depends on the text, and on whether it is negated.
    """

    asked: TextMatches
    offset: int
    room: int


@dataclass(frozen=True, slots=True)
class NonZero:
    """A number is not 0."""

    value: Value


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite."""

    condition: Condition


@dataclass(frozen=True, slots=True)
class AllOf:
    """Each is true; evaluated in order, stopping at the first that is not."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one is true; evaluated in order, stopping at the first that is."""

    conditions: tuple[Condition, ...]


Condition = (
    Compare | TextEquals | TextMatches | MaskedText | GlobText | NonZero | Not | AllOf | AnyOf
)
