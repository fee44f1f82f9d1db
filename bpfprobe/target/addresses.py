"""Addresses of kernel code -> names, from the text of /proc/kallsyms."""

from __future__ import annotations

import re
from bisect import bisect_right

from bpfprobe.model.symbol import Location

_LINE = re.compile(rb"^([0-9a-f]{16}) [tTwW] (\S+)(?:[ \t]+\[([^\]\n]+)\])?$", re.MULTILINE)
_HIDDEN = b"0" * 16
_LONGEST_FUNCTION = 1 << 20
"""An address further than this behind the last symbol is in no function."""


class AddressTable:
    """All functions by their addresses. Of several names for one address the first is taken."""

    def __init__(self, text: bytes) -> None:
        lines: dict[bytes, tuple[bytes, bytes]] = {}
        for address, name, module in _LINE.findall(text):
            lines.setdefault(address, (name, module))
        lines.pop(_HIDDEN, None)
        # As text of one width addresses sort as they would as numbers.
        self._starts = sorted(lines)
        self._names = lines

    def locate(self, address: int) -> Location | None:
        """The function at an address; None outside of all, or where addresses are hidden."""
        at = bisect_right(self._starts, b"%016x" % address) - 1
        if at < 0:
            return None
        start = int(self._starts[at], 16)
        size = int(self._starts[at + 1], 16) - start if at + 1 < len(self._starts) else 0
        if address - start >= (size or _LONGEST_FUNCTION):
            return None
        name, module = self._names[self._starts[at]]
        return Location(
            name.decode(errors="surrogateescape"),
            address - start,
            size,
            module.decode(errors="surrogateescape"),
        )
