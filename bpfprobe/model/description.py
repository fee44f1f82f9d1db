"""A probe as it was described, before anything of it is looked at."""

from __future__ import annotations

from bpfprobe.model.noun import dataclass

DEFAULT_STRING_BYTES = 4096
"""The most that a string capture takes, its NUL included: the kernel's PATH_MAX."""

MAX_STRING_BYTES = 16384

DEFINITION = "definition"
"""The kind of a description that is one text."""


@dataclass(frozen=True, slots=True)
class Description:
    """What a function of `bpfprobe.probes` was given; nothing of it has been checked.

    ``kind`` is the function's name, ``place`` the function, path, tracepoint or system call, or for
    ``probe`` the whole text. ``captures`` are names with their texts. ``pid`` is the process in
    which a place in a program is looked up and probed.

    Of a whole text, ``filter`` and ``captures`` are added to what it says, ``dialect`` (bpfprobe,
    kernel, trace8) says how to read it where that is not left to its first word, and
    ``binary_strings`` is trace(8)'s ``-B``, ``force`` kprobe(8)'s ``-F``.
    """

    kind: str
    place: str
    symbol: str | None = None
    address: int | None = None
    offset: int | None = None
    pid: int | None = None
    returns: bool | None = None
    filter: str | None = None
    event: str | None = None
    captures: tuple[tuple[str, str], ...] = ()
    comm: bool = True
    string_bytes: int = DEFAULT_STRING_BYTES
    dialect: str = ""
    binary_strings: bool = False
    force: bool = False

    def canonical(self) -> bytes | None:
        """The same bytes for the same description; another ``pid`` makes no difference.

        None for what holds other things than it should, which the parser will refuse.
        """
        words = {name: getattr(self, name) for name in self.__annotations__}
        if any(type(word) not in _PLAIN for word in words.values()):
            return None
        if self.pid is not None and (type(self.pid) is not int or not 0 <= self.pid < 1 << 32):
            return None
        if not all(type(text) is str for pair in self.captures for text in pair):
            return None
        words["pid"] = None if self.pid is None else 0
        return ascii(tuple(words.values())).encode("ascii")


_PLAIN = frozenset({str, int, bool, type(None), tuple})
