"""Expressions as they were written: no machine has been asked what the names mean.

One grammar serves captures and filters; `bpfprobe.parse.expression` holds it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.model.noun import dataclass

if TYPE_CHECKING:
    from bpfprobe.model.span import Span


@dataclass(frozen=True, slots=True)
class Number:
    """``42``, ``0x1f``, ``017``, ``'a'``, and the kernel's ``\\42``.

    ``is_character`` tells ``'a'``, which is text where it is compared with text.
    """

    value: int
    span: Span
    is_character: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """``"nginx"``, ``'nginx'``, and the kernel's ``\\"nginx"``, as bytes of no known encoding."""

    value: bytes
    span: Span


@dataclass(frozen=True, slots=True)
class CpuList:
    """``CPUS{0-3,8}``: a set of CPUs, as text without the braces."""

    text: str
    span: Span


@dataclass(frozen=True, slots=True)
class Name:
    """A bare name: an argument, a field, or a builtin such as ``pid``."""

    name: str
    span: Span


@dataclass(frozen=True, slots=True)
class Variable:
    """``$retval``, ``$arg1``, ``$stack2``, ``$comm``, ``$current``, ``$arg*``; without the $."""

    name: str
    span: Span


@dataclass(frozen=True, slots=True)
class Register:
    """``%di``; without the %."""

    name: str
    span: Span


@dataclass(frozen=True, slots=True)
class Global:
    """``@SYMBOL+OFFSET`` or ``@ADDRESS``: memory at a kernel symbol or a fixed address."""

    symbol: str
    offset: int
    span: Span


@dataclass(frozen=True, slots=True)
class FileMemory:
    """``@+OFFSET``: memory where a program has that byte of its file."""

    offset: int
    span: Span


@dataclass(frozen=True, slots=True)
class Offset:
    """``+8(x)``, ``-4(x)``, ``+u8(x)``: memory at ``x`` plus ``offset`` bytes."""

    offset: int
    base: Expression
    user: bool
    span: Span


@dataclass(frozen=True, slots=True)
class MemberOf:
    """``base->name`` or ``base.name``. ``name_span`` is the name alone."""

    base: Expression
    name: str
    arrow: bool
    span: Span
    name_span: Span


@dataclass(frozen=True, slots=True)
class Element:
    """``base[index]`` with a constant index."""

    base: Expression
    index: int
    span: Span


@dataclass(frozen=True, slots=True)
class Cast:
    """``(struct NAME *)x``: look at ``x`` as another type. ``depth`` counts the stars.

    ``is_struct`` is true where the word struct or union was written, ``user`` where ``__user`` was:
    the pointer then points into user memory.
    """

    type_name: str
    depth: int
    is_struct: bool
    operand: Expression
    span: Span
    type_span: Span
    user: bool = False


@dataclass(frozen=True, slots=True)
class StructView:
    """The kernel's ``(STRUCT)x``: ``x`` is the address of such a struct, whatever it was before.

    With ``members``, ``(STRUCT,a.b)x``, it is the address of that member of the struct.
    ``members_span`` is where they stand (the struct's name if there are none).
    """

    struct: str
    members: tuple[str, ...]
    operand: Expression
    span: Span
    struct_span: Span
    members_span: Span


@dataclass(frozen=True, slots=True)
class Call:
    """``entry(x)``: a function of the language, not of the kernel."""

    function: str
    arguments: tuple[Expression, ...]
    span: Span
    function_span: Span


@dataclass(frozen=True, slots=True)
class Unary:
    """``-x``, ``~x``, ``!x``, ``*x``."""

    operator: str
    operand: Expression
    span: Span


@dataclass(frozen=True, slots=True)
class Binary:
    """Arithmetic, comparison or logic; ``~`` between two operands matches a glob."""

    operator: str
    left: Expression
    right: Expression
    span: Span
    operator_span: Span


Expression = (
    Number
    | Text
    | CpuList
    | Name
    | Variable
    | Register
    | Global
    | FileMemory
    | Offset
    | MemberOf
    | Element
    | Cast
    | StructView
    | Call
    | Unary
    | Binary
)
