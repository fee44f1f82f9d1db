"""A very small part of C: enough to write a function or a struct of a kernel into a test.

What is understood::

    long vfs_read(struct file *file, char __user *buf, size_t count, loff_t *pos)
    int printk(const char *fmt, ...)
    struct path f_path
    const char *name            char comm[16]           void (*handler)(int, void *)
    u32 a : 3                   enum zone_type zone     union { u64 word; struct { u32 lo, hi; }; }

``/*user*/`` after or before a name means what ``__user`` does. Types are the integers of C, the
kernel's own (``u8`` .. ``s64``, ``size_t``, ``umode_t`` ...), pointers, arrays, functions through
a pointer, ``struct``, ``union``, ``enum``. Sizes and alignment are those of 64-bit Linux.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

INTEGERS: dict[str, tuple[int, bool]] = {
    "char": (1, True),
    "signed char": (1, True),
    "unsigned char": (1, False),
    "short": (2, True),
    "unsigned short": (2, False),
    "int": (4, True),
    "unsigned int": (4, False),
    "long": (8, True),
    "unsigned long": (8, False),
    "long long": (8, True),
    "unsigned long long": (8, False),
    "_Bool": (1, False),
    "bool": (1, False),
    **{f"{sign}{8 * size}": (size, sign[-1] == "s")
       for size in (1, 2, 4, 8) for sign in ("u", "s", "__u", "__s")},
    **{f"uint{8 * size}_t": (size, False) for size in (1, 2, 4, 8)},
    **{f"int{8 * size}_t": (size, True) for size in (1, 2, 4, 8)},
    "size_t": (8, False),
    "ssize_t": (8, True),
    "loff_t": (8, True),
    "off_t": (8, True),
    "ino_t": (8, False),
    "sector_t": (8, False),
    "uintptr_t": (8, False),
    "umode_t": (2, False),
    "fmode_t": (4, False),
    "gfp_t": (4, False),
    "dev_t": (4, False),
    "pid_t": (4, True),
    "uid_t": (4, False),
    "gid_t": (4, False),
}  # fmt: skip
"""Size in bytes and signedness of each integer type known by name."""


@dataclass(frozen=True, slots=True)
class Word:
    """A type with a name; ``keyword`` is ``struct``, ``union``, ``enum`` or empty."""

    keyword: str
    name: str
    const: bool = False


@dataclass(frozen=True, slots=True)
class Pointer:
    """A pointer, into user memory where ``user`` is true."""

    target: Shape
    user: bool = False


@dataclass(frozen=True, slots=True)
class Array:
    """``count`` elements."""

    element: Shape
    count: int


@dataclass(frozen=True, slots=True)
class Function:
    """What a pointer to a function points to."""


@dataclass(frozen=True, slots=True)
class Block:
    """A struct or union whose members stand in braces."""

    is_union: bool
    members: tuple[Declared, ...]


Shape = Word | Pointer | Array | Function | Block


@dataclass(frozen=True, slots=True)
class Declared:
    """A type and the name that it gives (empty for an abstract one); ``bits`` of a bit field."""

    name: str
    shape: Shape
    bits: int = 0


@dataclass(frozen=True, slots=True)
class Signature:
    """The declaration of a function; ``module`` stands in brackets behind it, as in kallsyms."""

    name: str
    returns: Shape
    parameters: tuple[Declared, ...]
    variadic: bool
    module: str


_TOKEN = re.compile(r"\s*(?:/\*\s*(user)\s*\*/|/\*.*?\*/|(\.\.\.|\w+|[^\s\w]))", re.DOTALL)
_C_WORDS = {"char", "short", "int", "long", "signed", "unsigned", "_Bool"}
_QUALIFIERS = {"const", "volatile", "restrict", "extern", "static", "inline"}


def read_signature(text: str) -> Signature:
    """The signature of a function. Raises ValueError for what this C does not have."""
    reader = _Reader(text)
    returns, _ = reader.base()
    shape = reader.stars(returns)
    name = reader.word()
    parameters, variadic = reader.parameters()
    module = ""
    if reader.take("["):
        module = reader.word()
        reader.expect("]")
    reader.take(";")
    reader.end()
    return Signature(name, shape, parameters, variadic, module)


def read_members(text: str) -> tuple[Declared, ...]:
    """The members of a struct, ``;`` between them. Raises ValueError as `read_signature` does."""
    reader = _Reader(text)
    members = reader.members(until="")
    reader.end()
    return members


def read_type(text: str) -> Shape:
    """A type by itself, ``char[16]`` or ``struct file *``. Raises ValueError."""
    reader = _Reader(text)
    base, user = reader.base()
    declared = reader.declarator(base, user)
    reader.end()
    if declared.name:
        raise ValueError(f"{text!r} is a declaration, a type was wanted")
    return declared.shape


class _Reader:
    """The tokens of one text and the place in them."""

    def __init__(self, text: str) -> None:
        self._text = text
        found = (match.group(2) or (match.group(1) and "__user") for match in _TOKEN.finditer(text))
        self._tokens = [token for token in found if token]
        self._at = 0

    def peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def take(self, token: str) -> bool:
        if self.peek() != token:
            return False
        self._at += 1
        return True

    def expect(self, token: str) -> None:
        if not self.take(token):
            raise ValueError(f"{token!r} wanted before {self.peek()!r} in {self._text!r}")

    def end(self) -> None:
        if self.peek():
            raise ValueError(f"{self.peek()!r} is too much in {self._text!r}")

    def word(self) -> str:
        token = self.peek()
        if not token.isidentifier():
            raise ValueError(f"a name wanted before {token!r} in {self._text!r}")
        self._at += 1
        return token

    def number(self) -> int:
        token = self.peek()
        self._at += 1
        return int(token, 0)

    def base(self) -> tuple[Shape, bool]:
        """What stands before the stars, and whether ``__user`` was among it."""
        const = user = False
        words: list[str] = []
        shape: Shape | None = None
        while True:
            token = self.peek()
            if token in _QUALIFIERS or token == "__user":
                const |= token == "const"
                user |= token == "__user"
                self._at += 1
            elif token in ("struct", "union", "enum") and not words and shape is None:
                self._at += 1
                shape = self._tagged(token)
            elif token in _C_WORDS and shape is None:
                words.append(self.word())
            elif not words and shape is None:
                shape = Word("", self.word())
            else:
                break
        shape = shape or Word("", _usual_name(words))
        return (Word(shape.keyword, shape.name, const) if isinstance(shape, Word) else shape), user

    def _tagged(self, keyword: str) -> Shape:
        if not self.take("{"):
            return Word(keyword, self.word())
        members = self.members(until="}")
        self.expect("}")
        return Block(keyword == "union", members)

    def members(self, until: str) -> tuple[Declared, ...]:
        found: list[Declared] = []
        while self.peek() != until:
            base, user = self.base()
            found.append(self.declarator(base, user))
            while self.take(","):
                found.append(self.declarator(base, user))
            if self.peek() != until:
                self.expect(";")
        return tuple(found)

    def stars(self, shape: Shape, user: bool = False) -> Shape:
        first = True
        while self.take("*"):
            here = user and first
            while self.peek() in _QUALIFIERS or self.peek() == "__user":
                here |= self.peek() == "__user"
                self._at += 1
            shape, first = Pointer(shape, here), False
        return shape

    def declarator(self, base: Shape, user: bool) -> Declared:
        shape = self.stars(base, user)
        if self.take("("):
            self.expect("*")
            name = self.word() if self.peek() != ")" else ""
            self.expect(")")
            self.parameters()
            return Declared(name, Pointer(Function()))
        name = self.word() if self.peek().isidentifier() and self.peek() != "__user" else ""
        if self.take("__user") and isinstance(shape, Pointer):
            shape = Pointer(shape.target, user=True)
        counts: list[int] = []
        while self.take("["):
            counts.append(0 if self.peek() == "]" else self.number())
            self.expect("]")
        for count in reversed(counts):
            shape = Array(shape, count)
        return Declared(name, shape, self.number() if self.take(":") else 0)

    def parameters(self) -> tuple[tuple[Declared, ...], bool]:
        self.expect("(")
        found: list[Declared] = []
        while not self.take(")"):
            if self.take("..."):
                self.expect(")")
                return tuple(found), True
            base, user = self.base()
            found.append(self.declarator(base, user))
            if self.peek() != ")":
                self.expect(",")
        if [parameter.shape for parameter in found] == [Word("", "void")]:
            found = []
        return tuple(found), False


def _usual_name(words: list[str]) -> str:
    """``unsigned`` as ``unsigned int``, ``long unsigned int`` as ``unsigned long``."""
    rest = [word for word in words if word not in ("signed", "unsigned")]
    if len(rest) > 1 and "int" in rest:
        rest.remove("int")
    unsigned = ["unsigned"] if "unsigned" in words else []
    if "signed" in words and rest == ["char"]:
        unsigned = ["signed"]
    return " ".join(unsigned + (rest or ["int"]))
