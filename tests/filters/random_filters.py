"""Filters at random, of the kernel's own grammar: the same for the same seed."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ORDERS = ("==", "!=", "<", "<=", ">", ">=")
_MEANINGLESS = {("<", 0)}  # nothing unsigned is below 0, which we refuse


@dataclass(frozen=True, slots=True)
class NumberField:
    """A number, and the values that it is compared with more often than with others."""

    size: int
    signed: bool
    values: Sequence[int]
    is_cpu: bool = False


@dataclass(frozen=True, slots=True)
class TextField:
    """Text; ``suffix`` is ``.ustring`` where it must stand. ``longest`` bounds what is compared."""

    values: Sequence[bytes]
    suffix: str = ""
    longest: int = 255


class RandomFilters:
    """An endless row of them over some fields."""

    def __init__(self, fields: Mapping[str, NumberField | TextField], seed: int) -> None:
        self._fields = fields
        self._names = sorted(fields)
        self._random = random.Random(seed)

    def next(self) -> str:
        """Another one."""
        return self._any_of(depth=3)

    def _any_of(self, depth: int) -> str:
        parts = [self._all_of(depth) for _ in range(self._random.choice((1, 1, 1, 2, 3)))]
        return self._joined("||", parts)

    def _all_of(self, depth: int) -> str:
        parts = [self._one(depth) for _ in range(self._random.choice((1, 1, 2, 2, 3)))]
        return self._joined("&&", parts)

    def _joined(self, word: str, parts: list[str]) -> str:
        space = self._random.choice(("", " "))
        return f"{space}{word}{space}".join(parts)

    def _one(self, depth: int) -> str:
        if self._random.random() < 0.2:
            return "!" + self._one(depth)
        if depth and self._random.random() < 0.25:
            return f"({self._any_of(depth - 1)})"
        name = self._random.choice(self._names)
        field = self._fields[name]
        if isinstance(field, TextField):
            return self._text(name, field)
        return self._number(name, field)

    def _number(self, name: str, field: NumberField) -> str:
        number = self._a_number(field)
        if not field.is_cpu and number >= 0 and self._random.random() < 0.2:
            return self._spaced(name, "&", self._printed(number))
        order = self._random.choice(_ORDERS)
        if (order, number) in _MEANINGLESS and not field.signed:
            order = ">"
        return self._spaced(name, order, self._printed(number))

    def _a_number(self, field: NumberField) -> int:
        if self._random.random() < 0.7:
            return self._random.choice(field.values)
        bits = 8 * field.size - field.signed
        if field.is_cpu:
            return self._random.randrange(4)
        number = self._random.getrandbits(self._random.randint(1, bits))
        return -number if field.signed and self._random.random() < 0.5 else number

    def _printed(self, number: int) -> str:
        if number < 0:
            return self._random.choice((str(number), f"-{-number:#x}"))
        return self._random.choice((str(number), f"{number:#x}", f"0{number:o}"))

    def _text(self, name: str, field: TextField) -> str:
        value = self._random.choice(field.values)
        order = self._random.choice(("==", "!=", "~", "~", "~"))
        if order == "~":
            value = self._glob(value)
        value = value[: field.longest]
        quotes = [q for q in "'\"" if q.encode() not in value]
        quote = self._random.choice(quotes)
        return self._spaced(name + field.suffix, order, f"{quote}{value.decode()}{quote}")

    def _glob(self, value: bytes) -> bytes:
        """The text with some of it replaced by what fits, and now and then by what does not."""
        value = value[:40]
        pattern = bytearray(b"!" if self._random.random() < 0.15 else b"")
        for byte in value:
            kind = self._random.random()
            if kind < 0.12:
                pattern += b"?"
            elif kind < 0.2:
                pattern += b"*"
            elif kind < 0.27 and chr(byte).isalnum():
                pattern += b"[%c-%c]" % (max(byte - 1, 48), byte + 1)
            elif kind < 0.32 and chr(byte).isalnum():
                pattern += b"[!%c]" % self._random.choice((byte, byte + 1))
            elif byte in b"*?[\\!" and len(pattern) > 1:
                pattern += b"\\%c" % byte if byte in b"*?[" else b"?"
            else:
                pattern.append(byte)
            if kind > 0.93:
                break
        if self._random.random() < 0.4:
            pattern += b"*"
        return bytes(pattern)

    def _spaced(self, *words: str) -> str:
        return self._random.choice(("", " ")).join(words)
