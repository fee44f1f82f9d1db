"""Registers by the names that assembly has for their parts: ``rax``, ``eax``, ``ah``, ``w3``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bpfprobe.errors import TargetError
from bpfprobe.model.regex import regex
from bpfprobe.model.scalar import X64, Scalar
from bpfprobe.model.value import BinaryOperation, Constant, RegisterValue, Value, View

if TYPE_CHECKING:
    from bpfprobe.model.arch import Arch

_HIGH_BYTE = regex(r"([abcd])h")
_X86_PARTS = (
    (regex(r"[re]?([abcd]x|[sd]i|[bs]p)"), r"\1"),
    (regex(r"([abcd])l"), r"\1x"),
    (regex(r"([sd]i|[bs]p)l"), r"\1"),
    (regex(r"(r(?:8|9|1[0-5]))[dwb]?"), r"\1"),
)


def register_value(name: str, scalar: Scalar, arch: Arch, text: str) -> Value:
    """A register, or part of one, as ``scalar``.

    Raises `TargetError` (USDT_OPERAND) for registers that a probe does not see; ``text`` is the
    operand that names it.
    """
    if name in ("xzr", "wzr"):
        return View(Constant(0), scalar)
    if found := _HIGH_BYTE.fullmatch(name):
        whole = RegisterValue(f"{found[1]}x")
        return View(BinaryOperation(">>", whole, Constant(8), X64), scalar)
    member = _member(name, arch)
    if member is None:
        raise TargetError(
            f"{text} of the marker is in a register that a probe does not see",
            code="USDT_OPERAND",
            hint="leave that argument out: floating-point and vector registers are not saved",
        )
    return RegisterValue(member, scalar)


def _member(name: str, arch: Arch) -> str | None:
    if arch.name != "x86_64":
        plain = {"wsp": "sp"}.get(name, re.sub(r"^w(?=\d)", "x", name))
        return arch.registers.get(plain)
    for pattern, member in _X86_PARTS:
        if pattern.fullmatch(name):
            return arch.registers.get(pattern.sub(member, name))
    return None
