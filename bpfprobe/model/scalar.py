"""Numbers of a known width: what a fetch type such as ``u32`` or ``x64`` says."""

from __future__ import annotations

from enum import Enum

from bpfprobe.model.noun import dataclass


class Style(Enum):
    """How a number is shown, and what it is in Python."""

    DECIMAL = "decimal"  # int
    HEX = "hex"  # int, shown as 0x...
    CHARACTER = "character"  # str of one character
    BOOLEAN = "boolean"  # bool
    FLOAT = "float"  # float: the bits are those of IEEE 754
    SYMBOL = "symbol"  # KernelAddress: a number that knows its symbol
    SYMBOL_TEXT = "symstr"  # str: the symbol as the kernel writes it


@dataclass(frozen=True, slots=True)
class Scalar:
    """A number of ``size`` bytes (1, 2, 4 or 8)."""

    size: int
    signed: bool
    style: Style = Style.DECIMAL

    @property
    def c_name(self) -> str:
        """The C type, from the typedefs in ``templates/kconfig.h``: of a float, of its bits."""
        return f"{'s' if self.signed else 'u'}{self.size * 8}"

    def __str__(self) -> str:
        if self.style is Style.CHARACTER:
            return "char"
        if self.style is Style.BOOLEAN:
            return "bool"
        if self.style is Style.FLOAT:
            return f"f{self.size * 8}"
        if self.style in (Style.SYMBOL, Style.SYMBOL_TEXT):
            return str(self.style.value)
        return f"x{self.size * 8}" if self.style is Style.HEX else self.c_name


U8, U16, U32, U64 = (Scalar(size, signed=False) for size in (1, 2, 4, 8))
S8, S16, S32, S64 = (Scalar(size, signed=True) for size in (1, 2, 4, 8))
X64 = Scalar(8, signed=False, style=Style.HEX)
CHAR = Scalar(1, signed=False, style=Style.CHARACTER)
BOOL = Scalar(1, signed=False, style=Style.BOOLEAN)
F32, F64 = (Scalar(size, signed=False, style=Style.FLOAT) for size in (4, 8))
SYMBOL = Scalar(8, signed=False, style=Style.SYMBOL)
SYMSTR = Scalar(8, signed=False, style=Style.SYMBOL_TEXT)


def scalar_named(name: str) -> Scalar | None:
    """The number type that the kernel calls ``name`` (``u8`` ... ``x64``, ``char``), or None."""
    if name == "char":
        return CHAR
    if name == "bool":
        return BOOL
    if name[:1] in ("u", "s", "x") and name[1:] in ("8", "16", "32", "64"):
        style = Style.HEX if name[0] == "x" else Style.DECIMAL
        return Scalar(int(name[1:]) // 8, signed=name[0] == "s", style=style)
    return None


def float_named(name: str) -> Scalar | None:
    """``f32`` and ``f64``, which no program can calculate with; None for every other name."""
    return {"f32": F32, "f64": F64}.get(name)
