"""The fields that filters are tried on: a stretch of user memory, and hits that differ in it."""

from __future__ import annotations

import random
import re
import struct
from typing import TYPE_CHECKING

from tests.filters.random_filters import NumberField, TextField
from tests.filters.verdicts import Field, Number, Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PLACES: Mapping[str, tuple[int, str]] = {
    "a8": (0, "u8"),
    "b8": (1, "s8"),
    "a16": (2, "u16"),
    "b16": (4, "s16"),
    "near": (6, "u8"),  # a CPU's number, or more than there are
    "a32": (8, "u32"),
    "b32": (12, "s32"),
    "a64": (16, "u64"),
    "b64": (24, "s64"),
    "place": (32, "u64"),  # an address in a kernel function, or not
}
"""Where each number is, in bytes, and its type."""
TEXT_POINTER = 40
BLOCK_BYTES = 48

TEXTS = (
    b"", b"a", b"b", b"abc", b"abd", b"/tmp/x", b"/tmp/file.txt", b"/etc/passwd", b"nginx", b"bash",
    b"12abc", b"a*c", b"a[b", b"!abc", b"it's", b'say "hi"', "näh".encode(), b"-", b" ",
    b"x" * 300, b"y" * 1022 + b"z", b"y" * 1023 + b"z",
)  # fmt: skip
_WRITTEN = tuple(t for t in TEXTS if len(t) < 100 and t != b"!abc" and t.isascii())
HITS = 61


def captures(base: str) -> tuple[str, ...]:
    """The fields as fetch arguments of memory in user space at the address ``base``."""
    numbers = (f"{name}=+u{at}({base}):{type_}" for name, (at, type_) in PLACES.items())
    return (*numbers, f"text=+u0(+u{TEXT_POINTER}({base})):ustring")


def named_in(text: str, of: Iterable[str]) -> list[str]:
    """The captures that a filter names: the fewer a probe has, the sooner it is compiled."""
    words = set(re.findall(r"\w+", text))
    return [each for each in of if each.partition("=")[0] in words]


def range_of(type_: str) -> tuple[int, int]:
    """The least and the most that a type holds."""
    bits = int(type_[1:])
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if type_[0] == "s" else (0, (1 << bits) - 1)


def hits(places: tuple[int, ...]) -> list[dict[str, int | bytes | None]]:
    """The values of each hit; ``places`` are addresses that ``place`` may have."""
    chance = random.Random(4099)
    return [
        {name: _number(name, type_, places, chance) for name, (_, type_) in PLACES.items()}
        | {"text": None if number % 10 == 9 else TEXTS[number % len(TEXTS)]}
        for number in range(HITS)
    ]


def _number(name: str, type_: str, places: tuple[int, ...], chance: random.Random) -> int:
    if name == "place":
        return chance.choice(places)
    if name == "near":
        return chance.choice((0, 1, 2, 255))
    return chance.choice(some_of(type_))


def some_of(type_: str) -> tuple[int, ...]:
    """Values of a type of which filters and hits take most of theirs."""
    low, high = range_of(type_)
    return (*range(4), 7, 42, high, high - 1, low, *((-1, -2, -42) if low else ()))


def as_fields(values: Mapping[str, int | bytes | None]) -> dict[str, Field]:
    """A hit as its judge wants it."""
    found: dict[str, Field] = {}
    for name, value in values.items():
        if name == "text":
            assert not isinstance(value, int)
            found[name] = Text(value)
        else:
            assert isinstance(value, int)
            type_ = PLACES[name][1]
            found[name] = Number(value, int(type_[1:]) // 8, type_[0] == "s")
    return found


def block(values: Mapping[str, int | bytes | None], text_address: int) -> bytes:
    """The memory of a hit."""
    numbers = [values[name] for name in PLACES]
    return struct.pack("<BbHhBxIiQqQQ", *numbers, text_address)


def drawn_fields(places: tuple[int, ...]) -> dict[str, NumberField | TextField]:
    """What random filters are made of."""
    numbers = {
        name: NumberField(
            int(type_[1:]) // 8, type_[0] == "s", places if name == "place" else some_of(type_)
        )
        for name, (_, type_) in PLACES.items()
    }
    return {**numbers, "text": TextField(_WRITTEN)}
