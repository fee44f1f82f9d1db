"""C++ and Rust names as their source has them; C++'s by the demangler of libstdc++.

``__cxa_demangle`` is the function of the C++ ABI that every C++ program of the machine uses
(https://itanium-cxx-abi.github.io/cxx-abi/abi.html#demangler). Rust's names before its version 0
are C++ names with escapes and a hash at the end, the others `bpfprobe.target.rust_names` reads.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import TYPE_CHECKING

from bpfprobe.model.regex import regex
from bpfprobe.trust import check_library_path

if TYPE_CHECKING:
    import re

_MOST_REFERENCES = 40
"""Each reference back into a name can double its text: a name of 200 letters stands for 10 MB."""

_REFERENCE = regex(r"[ST][0-9A-Z]*_")
_RUST_HASH = regex(r"::h[0-9a-f]{16}$")
_RUST_ESCAPE = regex(r"\$(?:u([0-9a-f]{1,6})|([A-Z]{1,2}))\$")
_RUST_WORDS = {
    "SP": "@",
    "BP": "*",
    "RF": "&",
    "LT": "<",
    "GT": ">",
    "LP": "(",
    "RP": ")",
    "C": ",",
}


class Demangler:
    """libstdc++'s ``__cxa_demangle``. ``is_there`` is false on a machine without the library.

    Raises `MissingLibraryError` where others could have put another one in its place.
    """

    def __init__(self) -> None:
        check_library_path()
        try:
            self._demangle = ctypes.CDLL("libstdc++.so.6")["__cxa_demangle"]
            self._free = ctypes.CDLL(None).free
        except (OSError, AttributeError):
            self.is_there = False
            return
        self._demangle.restype = ctypes.c_void_p
        self._demangle.argtypes = [ctypes.c_char_p, *[ctypes.c_void_p] * 3]
        self._free.argtypes = [ctypes.c_void_p]
        self._free.restype = None
        self.is_there = True

    def demangle(self, name: str) -> str:
        """The name in the source's words; empty for one that is not mangled, or too deep."""
        if name.startswith("_R"):
            from bpfprobe.target.rust_names import rust_name

            return rust_name(name)
        if not self.is_there or len(_REFERENCE.findall(name)) > _MOST_REFERENCES:
            return ""
        address = self._demangle(name.encode(errors="surrogateescape"), None, None, None)
        if not address:
            return ""
        try:
            text = ctypes.string_at(address).decode(errors="surrogateescape")
        finally:
            self._free(address)
        return _rust(_RUST_HASH.sub("", text)) if _RUST_HASH.search(text) else text


def _rust(text: str) -> str:
    """A Rust name without its escapes."""
    text = text.replace("_$", "$").replace("..", "::")
    return _RUST_ESCAPE.sub(_unescaped, text)


def _unescaped(found: re.Match[str]) -> str:
    number = int(found[1], 16) if found[1] else 0
    if found[2]:
        return _RUST_WORDS.get(found[2], found[0])
    return chr(number) if 32 <= number < 0xD800 else found[0]


@cache
def the_demangler() -> Demangler:
    """The library, loaded when the first name wants it."""
    return Demangler()
