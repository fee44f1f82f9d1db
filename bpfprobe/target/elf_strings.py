"""Strings of an ELF file, which symbols and sections point into."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from bpfprobe.errors import TargetError

_LONGEST = 16384
"""Bytes. Mangled names stay below."""

_SHARED = 8
"""How often all of a table may be read: names that end alike share their ends."""

_ALWAYS = 65536


class Strings:
    """A table of strings. ``broken`` makes the error for one that is read far too often.

    Each of a million entries may point into one string without an end: copying them would take
    more than a machine has.
    """

    def __init__(self, table: bytes, broken: Callable[[str], TargetError]) -> None:
        self._table = table
        self._broken = broken
        self._left = _SHARED * len(table) + _ALWAYS

    def at(self, place: int) -> str:
        """The string that begins there, at most 16 KiB of it. Raises `TargetError`."""
        end = self._table.find(b"\0", place, place + _LONGEST)
        raw = self._table[place : end if end >= 0 else place + _LONGEST]
        self._left -= len(raw)
        if self._left < 0:
            raise self._broken("its names lie over one another")
        return raw.decode(errors="surrogateescape")
