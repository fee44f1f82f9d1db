"""Names that a program writes down for code that it made: lines of ``START SIZE NAME``, in hex.

The form is that of Linux, tools/perf/Documentation/jit-interface.txt.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from typing import NamedTuple

_LINE = re.compile(
    rb"^(?:0x)?([0-9a-f]{1,16})[ \t]+(?:0x)?([0-9a-f]{1,16})[ \t]+([^\n]{1,4096})$",
    re.MULTILINE | re.IGNORECASE,
)
_MOST_OVERLAPPING = 64
"""How many pieces of code that begin before an address are asked whether they reach it."""


class Made(NamedTuple):
    """A piece of code that a program made, ``size`` bytes from an address on."""

    start: int
    size: int
    name: str


class PerfMap:
    """The pieces of code in the text of such a file, which may grow.

    A program uses memory anew: where pieces lie over one another, the line that came last counts.
    What is no such line is passed over.
    """

    def __init__(self) -> None:
        self._starts = array("Q")
        self._sizes = array("Q")
        self._names: list[bytes] = []
        self._order: list[int] = []
        self._sorted: list[int] = []

    def add(self, text: bytes) -> None:
        """Take more lines, which must be whole."""
        for found in _LINE.finditer(text):
            self._starts.append(int(found[1], 16))
            self._sizes.append(int(found[2], 16))
            self._names.append(found[3])
        # Stable: of pieces that begin at one address the last line stands last.
        self._order = sorted(range(len(self._names)), key=self._starts.__getitem__)
        self._sorted = [self._starts[number] for number in self._order]

    def at(self, address: int) -> Made | None:
        """The piece of code around an address, None for none."""
        end = bisect_right(self._sorted, address)
        near = self._order[max(0, end - _MOST_OVERLAPPING) : end]
        there = [number for number in near if address - self._starts[number] < self._sizes[number]]
        if not there:
            return None
        number = max(there)
        name = self._names[number].decode(errors="surrogateescape").rstrip()
        return Made(self._starts[number], self._sizes[number], name)
