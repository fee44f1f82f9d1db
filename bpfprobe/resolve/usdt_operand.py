r"""The arguments of a marker, as the assembler wrote them into its note.

::

    arguments = { [ SIZE "@" ] operand }              separated by spaces
    SIZE      = ["-"] ("1" | "2" | "4" | "8") ["f"]   bytes; signed with a minus; f for a float

    x86-64    "$" NUMBER | "%" REG | [place] [ "(" ["%" REG] ["," "%" REG ["," SCALE]] ")" ]
    arm64     NUMBER | REG | "[" REG ["," ["#"] NUMBER] "]"
              | "[" REG "," REG ["," "lsl" ["#"] NUMBER] "]"
    place     = NUMBER | [NUMBER "+"] SYMBOL [("+" | "-") NUMBER]

The notes are described at https://sourceware.org/systemtap/wiki/UserSpaceProbeImplementation, the
operands are those of the GNU assembler. An operand without a size has that of its register, or 8.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bpfprobe.errors import TargetError
from bpfprobe.model.regex import regex
from bpfprobe.model.usdt import (
    UsdtConstant,
    UsdtMemory,
    UsdtOperand,
    UsdtPlace,
    UsdtRegister,
    UsdtUnread,
)

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_ARGUMENTS = 12
"""The macros of <sys/sdt.h> take no more."""
_MAX_TEXT = 4096

_SIZE = regex(r"(-?)([1248])(f?)@")
_NUMBER = r"[-+]?(?:0[xX][0-9a-fA-F]+|\d+)"
_NAME = r"[A-Za-z_.][\w.$@]*"
_X86_CONSTANT = regex(rf"\$({_NUMBER})")
_X86_REGISTER = regex(r"%([a-z][a-z0-9]*)")
_X86_MEMORY = regex(
    rf"(?:(?P<number>{_NUMBER})(?!\w)\+?)?(?P<symbol>{_NAME})?(?P<more>[-+](?:0[xX][0-9a-fA-F]+|\d+))?"
    r"(?:\((?:%(?P<base>[a-z][a-z0-9]*))?"
    r"(?:,\s*%(?P<index>[a-z][a-z0-9]*)(?:,\s*(?P<scale>[1248]))?)?\))?"
)
_ARM_CONSTANT = regex(rf"#?({_NUMBER})")
_ARM_REGISTER = regex(r"([xwqdsv]\d{1,2}|sp|wsp|xzr|wzr|lr)")
_ARM_MEMORY = regex(
    rf"\[\s*(?P<base>x\d{{1,2}}|sp|lr)\s*(?:,\s*(?:#?(?P<number>{_NUMBER})"
    r"|(?P<index>x\d{1,2})\s*(?:,\s*lsl\s+#?(?P<shift>[0-4]))?))?\s*\]"
)

_X86_BYTES = {
    **{f"r{name}": 8 for name in ("ax", "bx", "cx", "dx", "si", "di", "bp", "sp")},
    **{f"e{name}": 4 for name in ("ax", "bx", "cx", "dx", "si", "di", "bp", "sp")},
    **{name: 2 for name in ("ax", "bx", "cx", "dx", "si", "di", "bp", "sp")},
    **{name: 1 for name in ("al", "bl", "cl", "dl", "sil", "dil", "bpl", "spl")},
    **{name: 1 for name in ("ah", "bh", "ch", "dh")},
    **{
        f"r{n}{end}": size for n in range(8, 16) for end, size in zip("dwb", (4, 2, 1), strict=True)
    },
    **{f"r{n}": 8 for n in range(8, 16)},
}


def parse_usdt_operands(text: str, machine: str) -> tuple[UsdtOperand, ...]:
    """The operands of one location of a marker, for a machine as uname(1) calls it.

    One that is not understood has the place `UsdtUnread`, as it matters only to who asks for it.
    Raises `TargetError` (USDT_OPERAND) for a machine other than x86_64 and aarch64, and for more
    than any compiler writes.
    """
    if len(text) > _MAX_TEXT:
        raise _refused(text[:40] + "...", 1, "the note is longer than any compiler writes")
    place = {"x86_64": _x86_place, "aarch64": _arm_place}.get(machine)
    if place is None:
        raise _refused(text, 1, f"operands of {machine} are not known")
    words = _split(text)
    if len(words) > MAX_ARGUMENTS:
        raise _refused(text, len(words), f"a marker has at most {MAX_ARGUMENTS} arguments")
    return tuple(_operand(word, number, place) for number, word in enumerate(words, 1))


def _split(text: str) -> list[str]:
    """At spaces that are in no brackets."""
    words, depth = [""], 0
    for character in text:
        depth += (character in "[(") - (character in "])")
        if character.isspace() and depth <= 0:
            words.append("")
        else:
            words[-1] += character
    return [word for word in words if word]


def _operand(word: str, number: int, place_of: Callable[[str], UsdtPlace | None]) -> UsdtOperand:
    sized = _SIZE.match(word)
    body = word[sized.end() :] if sized else word
    place = place_of(body)
    if not sized and "@" in word:
        place = UsdtUnread(_message(word, number, "its size is none of 1, 2, 4 and 8 bytes"))
    if place is None:
        place = UsdtUnread(_message(word, number, "it has a form that is not known"))
    if not sized:
        return UsdtOperand(word, _own_size(place), False, False, place)
    return UsdtOperand(word, int(sized[2]), sized[1] == "-", sized[3] == "f", place)


def _own_size(place: UsdtPlace) -> int:
    if isinstance(place, UsdtRegister):
        return 4 if place.name[0] == "w" else _X86_BYTES.get(place.name, 8)
    return 8


def _x86_place(body: str) -> UsdtPlace | None:
    if found := _X86_CONSTANT.fullmatch(body):
        return _constant(found[1])
    if found := _X86_REGISTER.fullmatch(body):
        return UsdtRegister(found[1]) if _is_x86_register(found[1]) else None
    found = _X86_MEMORY.fullmatch(body)
    if not body or found is None:
        return None
    parts = found.groupdict(default="")
    base, index = parts["base"], parts["index"]
    if any(_X86_BYTES.get(name) != 8 for name in (base, index) if name not in ("", "rip")):
        return None
    if not (base or index or parts["symbol"]) or (base == "rip" and not parts["symbol"]):
        return None
    displacement = sum(_integer(parts[name]) for name in ("number", "more") if parts[name])
    if base == "rip":  # what is meant is the symbol, relative to it or not
        if index:
            return None
        base = ""
    return _memory(base, index, int(parts["scale"] or 1), displacement, parts["symbol"])


def _is_x86_register(name: str) -> bool:
    return name in _X86_BYTES or re.fullmatch(r"[xyz]mm\d{1,2}", name) is not None


def _arm_place(body: str) -> UsdtPlace | None:
    if found := _ARM_CONSTANT.fullmatch(body):
        return _constant(found[1])
    if _ARM_REGISTER.fullmatch(body):
        return UsdtRegister(body)
    found = _ARM_MEMORY.fullmatch(body)
    if found is None:
        return None
    parts = found.groupdict(default="")
    scale = 1 << int(parts["shift"] or 0)
    return _memory(parts["base"], parts["index"], scale, _integer(parts["number"] or "0"))


def _memory(
    base: str = "", index: str = "", scale: int = 1, at: int = 0, symbol: str = ""
) -> UsdtMemory | None:
    return UsdtMemory(base, index, scale, at, symbol) if -(1 << 63) <= at < 1 << 63 else None


def _constant(text: str) -> UsdtConstant | None:
    value = _integer(text)
    return UsdtConstant(value) if -(1 << 63) <= value < 1 << 64 else None


def _integer(text: str) -> int:
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+-")
    return sign * int(digits, 16 if digits[:2].lower() == "0x" else 10)


def _refused(word: str, number: int, why: str) -> TargetError:
    return TargetError(
        _message(word, number, why), code="USDT_OPERAND", hint="probe another marker"
    )


def _message(word: str, number: int, why: str) -> str:
    return f"argument {number} of the marker, {word}, cannot be read: {why}"
