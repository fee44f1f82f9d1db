"""The operands of a marker of SystemTap's kind (USDT): where its arguments are."""

from __future__ import annotations

from bpfprobe.model.noun import dataclass


@dataclass(frozen=True, slots=True)
class UsdtConstant:
    """A number that the compiler knew."""

    value: int


@dataclass(frozen=True, slots=True)
class UsdtRegister:
    """A register by the name that assembly gives it: ``rax``, ``eax``, ``al``, ``x0``, ``w0``."""

    name: str


@dataclass(frozen=True, slots=True)
class UsdtMemory:
    """A value in the memory of the process.

    At ``symbol + base + index * scale + displacement``: a symbol of the file, registers by name,
    each empty where there is none.
    """

    base: str = ""
    index: str = ""
    scale: int = 1
    displacement: int = 0
    symbol: str = ""


@dataclass(frozen=True, slots=True)
class UsdtUnread:
    """What is written in a way that is not understood, with what to say to who wants it."""

    message: str


UsdtPlace = UsdtConstant | UsdtRegister | UsdtMemory | UsdtUnread


@dataclass(frozen=True, slots=True)
class UsdtOperand:
    """Where an argument of a marker is, and what it is.

    ``size`` in bytes; ``text`` is how the note spells it, such as ``-4@-20(%rbp)``.
    """

    text: str
    size: int
    signed: bool
    is_float: bool
    place: UsdtPlace
