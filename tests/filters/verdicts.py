"""What a filter says of a hit, worked out in Python: as it should be, and as the kernel has it.

Written against kernel/trace/trace_events_filter.c and lib/glob.c, apart from the package: only the
reading of a filter's text is shared with it. The kernel's mistakes are those that
`tests.filters.differences` lists.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from bpfprobe.model import expression as ast
from bpfprobe.model.span import SourceText
from bpfprobe.parse.filter import parse_filter

SEEN_BYTES = 1023
"""How much of a text is looked at: by the kernel where it follows a pointer, by us always."""

_ANY_BYTE = frozenset(range(256))

_ORDER = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True)
class Number:
    """A field of ``size`` bytes; ``is_cpu`` for the CPU that the kernel itself knows of."""

    value: int
    size: int
    signed: bool = False
    is_cpu: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """A field that is text; ``value`` is None where it could not be read.

    ``room`` is the size of an array of characters, 0 for text of any length. ``pointer`` is true
    where the record holds an address and the text is in user memory.
    """

    value: bytes | None
    room: int = 0
    pointer: bool = False


Field = Number | Text
Hit = Mapping[str, Field]


class Undefined(Exception):
    """What the kernel says depends on its age, or on what lies behind a text."""


@cache
def _parsed(text: str) -> ast.Expression | None:
    """The filter; once, as each is held against many hits."""
    return parse_filter(SourceText(text))


@dataclass(frozen=True, slots=True)
class Judge:
    """Judges hits. ``functions`` are (start, end) by name; ``as_kernel`` keeps its mistakes."""

    functions: Mapping[str, tuple[int, int]]
    as_kernel: bool = False

    def keeps(self, text: str, hit: Hit) -> bool:
        """Whether the filter keeps the hit. Raises `Undefined` for the kernel's own verdict."""
        expression = _parsed(text)
        return expression is None or self.holds(expression, hit)

    def holds(self, node: ast.Expression, hit: Hit) -> bool:
        """Whether the expression holds."""
        if isinstance(node, ast.Unary):
            assert node.operator == "!"
            return not self.holds(node.operand, hit)
        assert isinstance(node, ast.Binary), node
        if node.operator == "&&":
            return self.holds(node.left, hit) and self.holds(node.right, hit)
        if node.operator == "||":
            return self.holds(node.left, hit) or self.holds(node.right, hit)
        return self._compares(node, hit)

    def _compares(self, node: ast.Binary, hit: Hit) -> bool:
        left, suffix = node.left, ""
        if isinstance(left, ast.MemberOf):
            left, suffix = left.base, left.name
        assert isinstance(left, ast.Name), left
        field = hit[left.name]
        if suffix == "function":
            return self._in_function(node, field)
        if isinstance(field, Text):
            return self._text(node.operator, field, _bytes_of(node.right), suffix)
        if isinstance(node.right, ast.CpuList):
            return self._cpus(node.operator, field.value, node.right.text)
        assert isinstance(node.right, ast.Number)
        return self._number(node.operator, field, node.right.value)

    def _in_function(self, node: ast.Binary, field: Field) -> bool:
        assert isinstance(field, Number)
        right = node.right
        if isinstance(right, ast.Name):
            start, end = self.functions[right.name]
        else:
            assert isinstance(right, ast.Number)
            start, end = next(r for r in self.functions.values() if r[0] <= right.value < r[1])
        return (start <= field.value < end) == (node.operator == "==")

    def _number(self, operator_: str, field: Number, number: int) -> bool:
        if field.is_cpu and operator_ == "&":
            return not self.as_kernel and bool(field.value & number)
        cast = _cast(number, field)
        if operator_ == "&":
            return bool(field.value & cast)
        return bool(_ORDER[operator_](field.value, cast))

    def _cpus(self, operator_: str, cpu: int, text: str) -> bool:
        chosen = set[int]()
        for part in text.split(","):
            first, _, last = part.partition("-")
            chosen.update(range(int(first), int(last or first) + 1))
        if len(chosen) == 1:
            return (cpu in chosen) == (operator_ != "!=")
        return {"==": False, "!=": True, "&": cpu in chosen}[operator_]

    def _text(self, operator_: str, field: Text, literal: bytes, suffix: str) -> bool:
        value = field.value
        if field.pointer and self.as_kernel and suffix != "ustring":
            return False  # it reads kernel memory at an address of user space
        if value is None:
            if self.as_kernel and not field.pointer:
                raise Undefined
            return False
        if field.pointer or not self.as_kernel:
            value = value[:SEEN_BYTES]
        if operator_ == "~":
            turned = literal.startswith(b"!")
            return self._fits(value, literal[turned:], field.room) != turned
        return (value == literal) == (operator_ == "==")

    def _fits(self, value: bytes, pattern: bytes, room: int) -> bool:
        if self.as_kernel and pattern[:1].isdigit():
            return value == pattern
        if not self.as_kernel:
            return glob_match(pattern, value)
        if _depends_on_the_kernel(value, pattern, room):
            raise Undefined
        if room and pattern[:1] == b"*":
            return _fits_array(value, pattern, room)
        return glob_match(pattern, value)


def _depends_on_the_kernel(value: bytes, pattern: bytes, room: int) -> bool:
    """Whether old kernels (6.1) say otherwise: of an empty text, or where [!x] takes its end."""
    if not value and not room and pattern[:1] == b"*":
        return True
    return b"[!" in pattern and glob_match(pattern, value + b"\0") != glob_match(pattern, value)


def _fits_array(value: bytes, pattern: bytes, room: int) -> bool:
    """A glob with a star first, of an array: what stands behind the NUL is looked at as well."""
    inner = pattern[1:].removesuffix(b"*")
    fits = glob_match(pattern, value)
    if not inner or any(byte in b"*?[\\" for byte in inner):
        return fits
    if pattern.endswith(b"*"):
        if not fits:
            raise Undefined
        return True
    start, end = room - 1 - len(inner), room - 1
    if start > len(value):
        raise Undefined
    return value[start:end] == inner


def glob_match(pattern: bytes, text: bytes) -> bool:
    """Whether all of the text fits, as lib/glob.c has it."""
    taken = {0}  # how much of the text the pattern up to here may have been fitted to
    for fitting in _steps(pattern):
        if fitting is None:
            taken = set(range(min(taken, default=len(text) + 1), len(text) + 1))
        else:
            taken = {at + 1 for at in taken if at < len(text) and text[at] in fitting}
    return len(text) in taken


@cache
def _steps(pattern: bytes) -> tuple[frozenset[int] | None, ...]:
    """For each step of a pattern the bytes that fit, or None where any text does."""
    found: list[frozenset[int] | None] = []
    while pattern:
        first, pattern = pattern[:1], pattern[1:]
        fitting: frozenset[int] | None = frozenset(first)
        if first == b"*":
            fitting = None
        elif first == b"?":
            fitting = _ANY_BYTE
        elif first == b"\\":
            fitting, pattern = frozenset(pattern[:1]), pattern[1:]
        elif first == b"[" and (parsed := _class(pattern)) is not None:
            members, negated, pattern = parsed
            fitting = _ANY_BYTE - members if negated else frozenset(members)
        found.append(fitting)
    return tuple(found)


def _class(pattern: bytes) -> tuple[set[int], bool, bytes] | None:
    negated = pattern[:1] == b"!"
    at, members = int(negated), set[int]()
    while at < len(pattern):
        low = high = pattern[at]
        at += 1
        if pattern[at : at + 1] == b"-" and pattern[at + 1 : at + 2] not in (b"", b"]"):
            high = pattern[at + 1]
            at += 2
        members.update(range(low, high + 1))
        if pattern[at : at + 1] == b"]":
            return members, negated, pattern[at + 1 :]
    return None


def _cast(number: int, field: Number) -> int:
    number %= 1 << 8 * field.size
    if field.signed and number >= 1 << 8 * field.size - 1:
        number -= 1 << 8 * field.size
    return number


def _bytes_of(node: ast.Expression) -> bytes:
    if isinstance(node, ast.Number):
        assert node.is_character
        return bytes([node.value])
    assert isinstance(node, ast.Text), node
    return node.value
