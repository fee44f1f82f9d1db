"""The C signature of a description of trace(8): names for the arguments, and their types.

``(struct sock *sk, const char __user *name, size_t len)``. Structs go by their names in BTF when
the description is resolved; numbers are C's and the kernel's. ``__user`` says that a pointer points
into user memory, which trace(8) has no word for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import spec_error
from bpfprobe.model.noun import dataclass
from bpfprobe.parse.scanner import Token, scan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfprobe.model.span import Span

QUALIFIERS = frozenset(["const", "volatile", "restrict", "register", "__restrict"])
INTEGER_WORDS = frozenset(["char", "short", "int", "long", "signed", "unsigned"])


@dataclass(frozen=True, slots=True)
class CType:
    """A type as C writes it: ``depth`` counts the stars, ``user`` is ``__user``."""

    name: str
    depth: int
    is_struct: bool
    user: bool
    span: Span


@dataclass(frozen=True, slots=True)
class NamedArgument:
    """An argument that a signature names; ``number`` counts from 1."""

    number: int
    type: CType


def parse_signature(span: Span) -> dict[str, NamedArgument]:
    """The arguments in the brackets of ``span`` by name. Raises `SpecError`."""
    tokens = scan(span.source, span.start + 1, span.end - 1)[:-1]
    if not tokens or [token.text for token in tokens] == ["void"]:
        return {}
    named: dict[str, NamedArgument] = {}
    for number, words in enumerate(_between_commas(tokens, span), 1):
        name = words[-1]
        if len(words) < 2 or name.kind != "name" or name.text in INTEGER_WORDS | QUALIFIERS:
            raise spec_error(
                "BAD_SIGNATURE",
                "an argument of a signature is a type and a name",
                words[0].span.to(words[-1].span),
                "for example (struct sock *sk, size_t len); "
                "a predicate stands behind a space: FUNCTION (arg1 > 0)",
            )
        if name.text in named:
            raise spec_error("BAD_SIGNATURE", f"{name.text} is named twice", name.span)
        named[name.text] = NamedArgument(number, parse_type(words[:-1]))
    return named


def _between_commas(tokens: list[Token], span: Span) -> Iterator[list[Token]]:
    words: list[Token] = []
    for token in tokens:
        if token.text != ",":
            words.append(token)
            continue
        if not words:
            raise spec_error("BAD_SIGNATURE", "an argument is missing here", token.span)
        yield words
        words = []
    if not words:
        raise spec_error("BAD_SIGNATURE", "an argument is missing at the end", span)
    yield words


def parse_type(tokens: list[Token]) -> CType:
    """A type from the tokens of a declaration or a cast. Raises `SpecError`."""
    span = tokens[0].span.to(tokens[-1].span)
    words = [token.text for token in tokens if token.text not in QUALIFIERS]
    user = "__user" in words
    words = [word for word in words if word != "__user"]
    depth = len(words)
    while words and words[-1] == "*":
        words.pop()
    depth -= len(words)
    is_struct = bool(words) and words[0] in ("struct", "union", "enum")
    names = words[is_struct:]
    if not names or not all(name.isidentifier() for name in names):
        raise spec_error(
            "BAD_SIGNATURE",
            f"{span.text} is not a type that is known here",
            span,
            "a number (int, u32, size_t ...), or struct NAME, and stars behind it",
        )
    if len(names) > 1 and (is_struct or not set(names) <= INTEGER_WORDS):
        raise spec_error(
            "BAD_SIGNATURE", f"{' '.join(names)} is not a type", span, "write struct NAME *"
        )
    if words[0] == "enum" and not depth:
        return CType("int", 0, is_struct=False, user=False, span=span)
    return CType(_plain(names), depth, is_struct, user, span)


def _plain(names: list[str]) -> str:
    """``long unsigned int`` as ``unsigned long``: the order and the ``int`` mean nothing to C."""
    if len(names) == 1:
        return {"signed": "int"}.get(names[0], names[0])
    sign = "unsigned" if "unsigned" in names else "signed" if "char" in names else ""
    if "signed" not in names and "unsigned" not in names:
        sign = ""
    sizes = [name for name in names if name in ("char", "short", "long")]
    return " ".join([*([sign] if sign else []), *(sizes or ["int"])])
