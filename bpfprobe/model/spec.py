"""What was asked for: probes as described, before any machine is consulted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.model.description import DEFAULT_STRING_BYTES
from bpfprobe.model.noun import dataclass
from bpfprobe.model.regex import regex
from bpfprobe.model.span import SourceText, Span

if TYPE_CHECKING:
    from bpfprobe.model.expression import Expression
    from bpfprobe.model.message import Message

_OPERATOR = regex(r"\boperator\s*(?:->\*|\*=?)")


@dataclass(frozen=True, slots=True)
class KernelPoint:
    """A kernel function (``offset`` bytes into it), or its return.

    ``maxactive`` is how many calls at a time were asked to be followed to their return, 0 for what
    the kernel thinks right. ``is_fprobe`` is true for the kernel's ``f``, which has no registers.
    ``force`` tries functions that ftrace does not list as well, as kprobe(8)'s ``-F``.
    """

    symbol: str
    offset: int = 0
    module: str = ""
    returns: bool = False
    address: int = 0
    maxactive: int = 0
    is_fprobe: bool = False
    force: bool = False

    def __str__(self) -> str:
        module = f"{self.module}:" if self.module else ""
        place = self.symbol or hex(self.address)
        offset = f"+{self.offset:#x}" if self.offset else ""
        return f"{'kretprobe' if self.returns else 'kprobe'}:{module}{place}{offset}"


@dataclass(frozen=True, slots=True)
class UserPoint:
    """A place in an executable or library, or the return of a function there.

    Exactly one of ``symbol``, ``address`` (virtual, as nm(1) prints it) and ``offset`` (in the
    file) says where; ``plus`` counts bytes from the start of ``symbol``. A symbol with ``*`` or
    ``?`` is a glob, and the place every function that fits; with a ``line`` it is a source file,
    and the place wherever the code of that line begins. ``ref_ctr_offset`` is the place in the
    file of a counter of tracers, as USDT has one, 0 for none. ``force`` tries the returns of a Go
    program, and places that are not the beginning of an instruction, as well.
    """

    path: str
    symbol: str = ""
    plus: int = 0
    address: int | None = None
    offset: int | None = None
    returns: bool = False
    pid: int | None = None
    ref_ctr_offset: int = 0
    line: int = 0
    force: bool = False

    @property
    def is_glob(self) -> bool:
        """Whether the symbol may mean several functions.

        A ``*`` in the parameters of a C++ function is a pointer, behind ``operator`` its name.
        """
        if self.line:
            return False
        name = _OPERATOR.sub("", self.symbol).partition("(")[0]
        return "*" in name or "?" in name

    def __str__(self) -> str:
        place = self.symbol or hex(self.address or self.offset or 0)
        plus = f"+{self.plus:#x}" if self.plus else f":{self.line}" if self.line else ""
        return f"{'uretprobe' if self.returns else 'uprobe'}:{self.path}:{place}{plus}"


@dataclass(frozen=True, slots=True)
class UsdtPoint:
    """A marker (USDT) of an executable or library; ``provider`` is empty where only one has it."""

    path: str
    provider: str
    name: str
    pid: int | None = None

    def __str__(self) -> str:
        provider = f"{self.provider}:" if self.provider else ""
        return f"usdt:{self.path}:{provider}{self.name}"


@dataclass(frozen=True, slots=True)
class TracepointPoint:
    """A tracepoint as tracefs names it; ``is_eprobe`` for one under the kernel's ``e``."""

    category: str
    name: str
    is_eprobe: bool = False

    def __str__(self) -> str:
        return f"tracepoint:{self.category}:{self.name}"


@dataclass(frozen=True, slots=True)
class SyscallPoint:
    """A system call by its name in the manual.

    ``returns`` is None where the description left it open: a capture or a filter that needs the
    return value or the duration then makes it a return probe.
    """

    name: str
    returns: bool | None = None

    def __str__(self) -> str:
        return f"syscall:{self.name}{'%return' if self.returns else ''}"


Point = KernelPoint | UserPoint | UsdtPoint | TracepointPoint | SyscallPoint


@dataclass(frozen=True, slots=True)
class TypeName:
    """A type as written after the colon: ``u32``, ``b4@2/8``, ``x8[16]``; count 0 is no array.

    ``length`` is that of ``bytes[LENGTH]``.
    """

    base: str
    count: int
    span: Span
    length: Expression | None = None


@dataclass(frozen=True, slots=True)
class Capture:
    """A value to take at each hit. ``type`` None leaves the choice to what is known of it."""

    name: str
    value: Expression
    type: TypeName | None
    span: Span
    name_span: Span

    @property
    def expressions(self) -> tuple[Expression, ...]:
        """What its value is made from: the value, and the length of bytes."""
        length = self.type.length if self.type is not None else None
        return (self.value,) if length is None else (self.value, length)


_NO_TEXT = SourceText("")


@dataclass(frozen=True, slots=True)
class ProbeSpec:
    """One probe. ``point_span`` is where the description says which place it means.

    ``comm`` asks for the name of the thread in every event. ``string_bytes`` bounds each string.
    ``message`` is what a description of trace(8) says of rows.
    ``group`` is the event's group in the kernel's sense, empty where none was given.
    """

    name: str
    point: Point
    point_span: Span
    captures: tuple[Capture, ...] = ()
    filter: Expression | None = None
    comm: bool = True
    string_bytes: int = DEFAULT_STRING_BYTES
    source: SourceText = _NO_TEXT
    message: Message | None = None
    group: str = ""

    def __str__(self) -> str:
        return self.source.text or f"{self.name}={self.point}"
