"""The kernel's symbol table, as /proc/kallsyms prints it.

The file has 100,000 to 200,000 lines (5 MB and more): it is kept as bytes and searched. One name
takes 2 ms to find, an index of all names 100 ms to build, so it is built once many are looked up.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import cached_property
from typing import TYPE_CHECKING

from bpfprobe.model.machine import Symbol, SymbolRange
from bpfprobe.model.regex import regex
from bpfprobe.target.nearness import matching_names, nearest_names

if TYPE_CHECKING:
    from collections.abc import Iterator

_TEXT_LINE = regex(rb"^[0-9a-f]+ [tTwW] ([^\s]+)(?:\t\[([^\]\n]+)\])?$", re.MULTILINE)

_SYMBOL_LINE = regex(rb"^([0-9a-f]+) (\S) ([^\s]+)(?:[ \t]+\[([^\]\n]+)\])?$", re.MULTILINE)

_TEXT_PLACE = regex(rb"^([0-9a-f]+) [tTwW] (\S+)", re.MULTILINE)

_SEARCHES_BEFORE_INDEX = 32

_NOT_FUNCTIONS = ("__pfx_", "__cfi_")
"""Padding before functions, which has names since Linux 6.2; no probe can stand there."""


class Kallsyms:
    """Look-ups in the text of /proc/kallsyms: ``ADDRESS KIND NAME``, then ``[MODULE]`` or not."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._found: dict[str, tuple[Symbol, ...]] = {}
        self._alias_searches = 0

    def symbols(self, name: str) -> tuple[Symbol, ...]:
        """Every symbol of exactly this name, in the order of the file."""
        if name not in self._found:
            self._found[name] = self._search(name)
        return self._found[name]

    def _search(self, name: str) -> tuple[Symbol, ...]:
        if not name or any(character.isspace() for character in name):
            return ()
        raw = name.encode(errors="surrogateescape")
        indexed = len(self._found) >= _SEARCHES_BEFORE_INDEX
        starts = self._index.get(raw, ()) if indexed else self._lines_with(raw)
        lines = (_SYMBOL_LINE.match(self._text, start) for start in starts)
        return tuple(_symbol(line) for line in lines if line and line.group(3) == raw)

    def _lines_with(self, name: bytes) -> Iterator[int]:
        """Yield the start of each line in which a word begins with ``name``."""
        found = self._text.find(b" " + name)
        while found >= 0:
            yield self._text.rfind(b"\n", 0, found) + 1
            end = self._text.find(b"\n", found)
            found = self._text.find(b" " + name, end) if end >= 0 else -1

    @cached_property
    def _index(self) -> dict[bytes, tuple[int, ...]]:
        """The starts of the lines of each name."""
        index: dict[bytes, tuple[int, ...]] = {}
        for line in _SYMBOL_LINE.finditer(self._text):
            name = line.group(3)
            index[name] = (*index.get(name, ()), line.start())
        return index

    def has(self, name: str) -> bool:
        """Whether there is a symbol of that name."""
        return bool(self.symbols(name))

    def aliases(self, name: str) -> tuple[str, ...]:
        """Other names of the functions of this name; none where addresses are hidden.

        ``SYSCALL_DEFINE0`` makes two of a system call: ``__x64_sys_getppid`` is
        ``__do_sys_getppid``.
        """
        places = {symbol.address for symbol in self.symbols(name)} - {0}
        self._alias_searches += 1
        if self._alias_searches > _SEARCHES_BEFORE_INDEX:
            found = [raw for place in places for raw in self._names_at.get(b"%016x" % place, ())]
        else:
            lines = [b"^%016x [tTwW] (\\S+)" % place for place in places]
            found = [raw for line in lines for raw in re.findall(line, self._text, re.MULTILINE)]
        names = [raw.decode(errors="surrogateescape") for raw in found]
        return tuple(other for other in names if other != name)

    @cached_property
    def _names_at(self) -> dict[bytes, tuple[bytes, ...]]:
        """The names of the functions at each address."""
        names: dict[bytes, tuple[bytes, ...]] = {}
        for address, name in _TEXT_PLACE.findall(self._text):
            names[address] = (*names.get(address, ()), name)
        return names

    def symbol_at(self, address: int) -> SymbolRange | None:
        """The symbol that the address belongs to, up to the next one of another address.

        Of several at one address the first in the file, as kallsyms_lookup() has it. The last
        symbol of all belongs to nobody: where it ends is not told. Neither does what is behind the
        kernel's own ``_end``, and what is below it: there are offsets, of the variables of a CPU.
        """
        here = bisect_right(self._addresses, b"%016x" % address)
        if not 0 < here < len(self._addresses):
            return None
        start, follow = self._addresses[here - 1], self._addresses[here]
        line = re.search(rb"^%s (\S) ([^\s]+)(?:[ \t]+\[([^\]\n]+)\])?$" % start, self._text, re.M)
        if line is None or line.group(2) == b"_end":
            return None
        name, module = line.group(2).decode(errors="surrogateescape"), line.group(3) or b""
        size = int(follow, 16) - int(start, 16)
        return SymbolRange(name, int(start, 16), size, module.decode(errors="surrogateescape"))

    @cached_property
    def _addresses(self) -> list[bytes]:
        """Every address once, in order; digits of one length sort as numbers do."""
        return sorted(set(re.findall(rb"^[89a-f][0-9a-f]{15}(?= )", self._text, re.M)))

    @property
    def addresses_hidden(self) -> bool:
        """True where kptr_restrict makes every address 0 for this process."""
        return re.search(rb"^0*[1-9a-f]", self._text, re.M) is None

    def matching_functions(self, pattern: str) -> tuple[str, ...]:
        """Functions that fit a glob, sorted."""
        return matching_names(pattern, self._functions)

    def similar_functions(self, name: str) -> tuple[str, ...]:
        """At most five functions that look like ``name``."""
        return nearest_names(name, self._functions)

    @cached_property
    def _functions(self) -> list[str]:
        """Functions of the kernel and of its modules; not what BPF programs and ftrace made."""
        return [
            name
            for name, module in (
                (raw.decode(errors="surrogateescape"), module)
                for raw, module in _TEXT_LINE.findall(self._text)
            )
            if not name.startswith(_NOT_FUNCTIONS)
            and module != b"bpf"
            and not module.startswith(b"__builtin__")
        ]


def _symbol(line: re.Match[bytes]) -> Symbol:
    name, module = ((part or b"").decode(errors="surrogateescape") for part in line.group(3, 4))
    return Symbol(name, int(line.group(1), 16), line.group(2).decode(), module)
