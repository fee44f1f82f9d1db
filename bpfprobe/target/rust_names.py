"""Rust's mangled names (``_R...``) as its source has them.

The grammar is that of RFC 2603, https://rust-lang.github.io/rfcs/2603-rust-symbol-name-mangling-v0.html,
with the constants that came later (https://doc.rust-lang.org/rustc/symbol-mangling/v0.html). Hashes
and other disambiguators are left out, but for the numbers of closures.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bpfprobe.model.regex import regex

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_DEEPEST = 80
"""Rules within rules: a name may refer back to what it is part of."""

_MOST_STEPS = 20000
"""Rules that are followed: each reference back can double what there is to write."""

_MOST_LETTERS = 16384

_SHAPE = regex(r"_R(?P<path>[A-Z][0-9A-Za-z_]*)(?P<suffix>\.[\w.$@]*)?")
_BASIC = {
    "a": "i8", "b": "bool", "c": "char", "d": "f64", "e": "str", "f": "f32", "h": "u8",
    "i": "isize", "j": "usize", "l": "i32", "m": "u32", "n": "i128", "o": "u128", "p": "_",
    "s": "i16", "t": "u16", "u": "()", "v": "...", "x": "i64", "y": "u64", "z": "!",
}  # fmt: skip
_SPECIAL = {"C": "closure", "S": "shim"}
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


class _NoNameError(Exception):
    """The text is not a name of this grammar, or too long a one."""


def rust_name(mangled: str) -> str:
    """What the source calls a symbol; empty for what is none of these names, or too deep a one."""
    found = _SHAPE.fullmatch(mangled)
    if found is None:
        return ""
    suffix = found["suffix"] or ""
    try:
        name = _Reader(found["path"]).whole()
    except _NoNameError:
        return ""
    # What LLVM adds to a name of its own is no part of it; a part of a function is a clone.
    return name if not suffix or suffix.startswith(".llvm.") else f"{name} [clone {suffix}]"


class _Reader:
    """Reads a name from left to right, and writes it as it goes."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._out: list[str] = []
        self._letters = 0
        self._silent = 0
        self._depth = 0
        self._steps = 0
        self._lifetimes = 0

    def whole(self) -> str:
        """The name. Raises `_NoNameError`."""
        self._path(in_value=True)
        if self._at < len(self._text):  # the crate for which a generic function was made
            with self._silence():
                self._path(in_value=False)
        if self._at < len(self._text):
            raise _NoNameError
        return "".join(self._out)

    def _next(self) -> str:
        if self._at >= len(self._text):
            raise _NoNameError
        self._at += 1
        return self._text[self._at - 1]

    def _eat(self, letter: str) -> bool:
        found = self._text.startswith(letter, self._at)
        self._at += found
        return found

    def _write(self, text: str) -> None:
        if self._silent:
            return
        self._letters += len(text)
        if self._letters > _MOST_LETTERS:
            raise _NoNameError
        self._out.append(text)

    @contextmanager
    def _silence(self) -> Iterator[None]:
        self._silent += 1
        yield
        self._silent -= 1

    @contextmanager
    def _deeper(self) -> Iterator[None]:
        self._depth += 1
        self._steps += 1
        if self._depth > _DEEPEST or self._steps > _MOST_STEPS:
            raise _NoNameError
        yield
        self._depth -= 1

    def _number_62(self) -> int:
        """``_`` is 0, ``0_`` is 1, and so on."""
        value, start = 0, self._at
        while not self._eat("_"):
            value = value * 62 + _DIGITS.index(self._next())
            if self._at - start > 11:  # more than 64 bits
                raise _NoNameError
        return value + 1 if self._at - start > 1 else 0

    def _tagged(self, tag: str) -> int:
        """A number behind a tag, counted from 1; 0 where the tag is not there."""
        return self._number_62() + 1 if self._eat(tag) else 0

    def _identifier(self) -> str:
        is_punycode = self._eat("u")
        found = re.compile(r"(0|[1-9][0-9]{0,4})_?").match(self._text, self._at)
        if found is None:
            raise _NoNameError
        end = found.end() + int(found[1])
        if end > len(self._text):
            raise _NoNameError
        text, self._at = self._text[found.end() : end], end
        return _from_punycode(text) if is_punycode else text

    def _back(self, read: Callable[[], None]) -> None:
        """Go on with what stands earlier in the name, then come back."""
        start = self._at - 1
        place = self._number_62()
        if place >= start:
            raise _NoNameError
        if self._silent:
            return
        here, self._at = self._at, place
        read()
        self._at = here

    def _list(self, read: Callable[[], None], between: str = ", ") -> int:
        count = 0
        while not self._eat("E"):
            if count:
                self._write(between)
            read()
            count += 1
        return count

    def _path(self, *, in_value: bool) -> None:
        with self._deeper():
            match self._next():
                case "C":
                    self._tagged("s")
                    self._write(self._identifier())
                case "N":
                    self._nested(in_value=in_value)
                case "M" | "X" | "Y" as tag:
                    self._implementation(tag)
                case "I":
                    self._path(in_value=in_value)
                    self._write("::<" if in_value else "<")
                    self._list(self._generic_argument)
                    self._write(">")
                case "B":
                    self._back(lambda: self._path(in_value=in_value))
                case _:
                    raise _NoNameError

    def _nested(self, *, in_value: bool) -> None:
        namespace = self._next()
        if not namespace.isalpha():
            raise _NoNameError
        self._path(in_value=in_value)
        number = self._tagged("s")
        name = self._identifier()
        if namespace.isupper():
            kind = _SPECIAL.get(namespace, namespace)
            self._write(f"::{{{kind}{':' * bool(name)}{name}#{number}}}")
        elif name:
            self._write(f"::{name}")

    def _implementation(self, tag: str) -> None:
        """``<T>``, ``<T as Trait>``; where it was written is left out."""
        if tag != "Y":
            self._tagged("s")
            with self._silence():
                self._path(in_value=False)
        self._write("<")
        self._type()
        if tag != "M":
            self._write(" as ")
            self._path(in_value=False)
        self._write(">")

    def _generic_argument(self) -> None:
        if self._eat("L"):
            self._write(self._lifetime(self._number_62()))
        elif self._eat("K"):
            self._constant()
        else:
            self._type()

    def _lifetime(self, number: int) -> str:
        if not number:
            return "'_"
        depth = self._lifetimes - number
        if depth < 0:
            raise _NoNameError
        return f"'{chr(ord('a') + depth)}" if depth < 26 else f"'_{depth}"

    @contextmanager
    def _binder(self) -> Iterator[None]:
        """``for<'a>``: lifetimes that are bound in what follows."""
        count = self._tagged("G")
        if count > 64:
            raise _NoNameError
        if count:
            self._lifetimes += count
            names = ", ".join(self._lifetime(count - n) for n in range(count))
            self._write(f"for<{names}> ")
        yield
        self._lifetimes -= count

    def _type(self) -> None:
        with self._deeper():
            tag = self._next()
            if tag in _BASIC:
                self._write(_BASIC[tag])
                return
            match tag:
                case "R" | "Q":
                    self._reference("mut " if tag == "Q" else "")
                case "P" | "O":
                    self._write("*const " if tag == "P" else "*mut ")
                    self._type()
                case "A" | "S":
                    self._write("[")
                    self._type()
                    if tag == "A":
                        self._write("; ")
                        self._constant()
                    self._write("]")
                case "T":
                    self._write("(")
                    self._write(",)" if self._list(self._type) == 1 else ")")
                case "F":
                    with self._binder():
                        self._function()
                case "D":
                    self._dynamic()
                case "B":
                    self._back(self._type)
                case _:
                    self._at -= 1
                    self._path(in_value=False)

    def _reference(self, mutable: str) -> None:
        self._write("&")
        if self._eat("L") and (number := self._number_62()):
            self._write(self._lifetime(number) + " ")
        self._write(mutable)
        self._type()

    def _function(self) -> None:
        if self._eat("U"):
            self._write("unsafe ")
        if self._eat("K"):
            abi = "C" if self._eat("C") else self._identifier().replace("_", "-")
            self._write(f'extern "{abi}" ')
        self._write("fn(")
        self._list(self._type)
        self._write(")")
        if not self._eat("u"):
            self._write(" -> ")
            self._type()

    def _dynamic(self) -> None:
        self._write("dyn ")
        with self._binder():
            self._list(self._bound, " + ")
        if not self._eat("L"):
            raise _NoNameError
        if number := self._number_62():
            self._write(" + " + self._lifetime(number))

    def _bound(self) -> None:
        """A trait, with its types that are bound: ``Iterator<Item = u8>``."""
        is_open = self._open_path()
        while self._eat("p"):
            self._write(", " if is_open else "<")
            is_open = True
            self._write(f"{self._identifier()} = ")
            self._type()
        if is_open:
            self._write(">")

    def _open_path(self) -> bool:
        """A path; whether its generic arguments have not been closed."""
        is_open = False

        def again() -> None:
            nonlocal is_open
            is_open = self._open_path()

        with self._deeper():
            if self._eat("B"):
                self._back(again)
            elif self._eat("I"):
                self._path(in_value=False)
                self._write("<")
                self._list(self._generic_argument)
                is_open = True
            else:
                self._path(in_value=False)
        return is_open

    def _constant(self) -> None:
        with self._deeper():
            match self._next():
                case "p":
                    self._write("_")
                case "B":
                    self._back(self._constant)
                case "b":
                    self._write({0: "false", 1: "true"}.get(self._hex(), "_"))
                case "c":
                    self._write(_character(self._hex()))
                case "e":
                    self._write(f"*{self._text_constant()}")
                case "R" | "Q" as tag:
                    if tag == "R" and self._eat("e"):
                        self._write(self._text_constant())
                    else:
                        self._write("&" if tag == "R" else "&mut ")
                        self._constant()
                case "A":
                    self._write("[")
                    self._list(self._constant)
                    self._write("]")
                case "T":
                    self._write("(")
                    self._write(",)" if self._list(self._constant) == 1 else ")")
                case "V":
                    self._record()
                case tag if tag in "aslxni":
                    self._write("-" * self._eat("n") + _shown(self._hex()))
                case tag if tag in "htmyoj":
                    self._write(_shown(self._hex()))
                case _:
                    raise _NoNameError

    def _record(self) -> None:
        """A value of a struct or an enumeration."""
        self._path(in_value=True)
        match self._next():
            case "U":
                return
            case "T":
                self._write("(")
                self._list(self._constant)
                self._write(")")
            case "S":
                self._write(" { ")
                self._list(self._field)
                self._write(" }")
            case _:
                raise _NoNameError

    def _field(self) -> None:
        self._tagged("s")
        self._write(f"{self._identifier()}: ")
        self._constant()

    def _digits(self) -> str:
        found = re.compile(r"([0-9a-f]*)_").match(self._text, self._at)
        if found is None:
            raise _NoNameError
        self._at = found.end()
        return found[1]

    def _hex(self) -> int:
        digits = self._digits()
        if len(digits) > 32:
            raise _NoNameError
        return int(digits or "0", 16)

    def _text_constant(self) -> str:
        digits = self._digits()
        try:
            text = bytes.fromhex(digits).decode()
        except ValueError:
            raise _NoNameError from None
        return '"' + "".join(_escaped(letter, '"') for letter in text) + '"'


def _shown(number: int) -> str:
    return str(number) if number < 1 << 64 else f"{number:#x}"


def _character(number: int) -> str:
    if number > 0x10FFFF or 0xD800 <= number < 0xE000:
        raise _NoNameError
    return f"'{_escaped(chr(number), chr(39))}'"


def _escaped(letter: str, quote: str) -> str:
    simple = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\", quote: f"\\{quote}"}
    if letter in simple:
        return simple[letter]
    return letter if letter.isprintable() else f"\\u{{{ord(letter):x}}}"


def _from_punycode(text: str) -> str:
    """RFC 3492, with an underscore where that has a hyphen."""
    before, mark, after = text.rpartition("_")
    try:
        name = (f"{before}-{after}" if mark else after).encode("ascii").decode("punycode")
    except UnicodeError:
        raise _NoNameError from None
    if not name.isprintable():
        raise _NoNameError
    return name
