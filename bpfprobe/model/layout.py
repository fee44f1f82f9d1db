"""The bytes of an event: the one truth that the C struct and the Python decoder are made from.

A record is a head of fixed fields followed by a tail of variable length. A string or an argument
vector takes a u32 in the head (its offset from the start of the record in the low 16 bits, its
length in bytes in the high 16, as ftrace's ``__data_loc``), and its bytes stand in the tail.
"""

from __future__ import annotations

from enum import Enum

from bpfprobe.model.noun import dataclass
from bpfprobe.model.scalar import Style

HEADER = ("time", "pid", "tid", "cpu", "comm")
"""What every record says of its hit. Where a capture has one of these names, that of the hit has
the same with a _ before it."""

MARKS_PER_WORD = 16
"""Each u32 of marks holds 16 fault bits (low half) and 16 truncation bits (high half)."""


class FieldKind(Enum):
    """How the bytes of a field become a Python value."""

    INTEGER = "integer"  # int
    BOOLEAN = "boolean"  # bool
    FLOAT = "float"  # float
    CHARACTER = "character"  # str of one character
    ARRAY = "array"  # tuple of int, or of float by its style
    COMM = "comm"  # char[16] in the head: str
    STRING = "string"  # in the tail: str
    STRINGS = "strings"  # in the tail, NUL after each: tuple of str
    BYTES = "bytes"  # in the tail: bytes
    STACK = "stack"  # in the tail, a u64 for each address: tuple of int
    TEXTS = "texts"  # in the tail, each with a place of its own in the head: tuple of str or None
    SYMBOL = "symbol"  # KernelAddress
    SYMBOL_TEXT = "symstr"  # str
    NAME = "name"  # the number of one of several names: str
    CONSTANT = "constant"  # not in the record: the same str in every event


_IN_TAIL = (
    FieldKind.STRING,
    FieldKind.STRINGS,
    FieldKind.BYTES,
    FieldKind.TEXTS,
    FieldKind.STACK,
)


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the head.

    ``size`` and ``offset`` are in bytes; ``capacity`` is the most that a field in the tail may take
    there. ``mark`` is the number of its fault and truncation bits, -1 for what cannot fail.
    ``style`` says how people see a number; ``names`` are those that a NAME is one of. ``user``
    tells the stack of a program from the kernel's. Of elements that are bit fields ``bit_size``
    bits count, from ``bit_offset`` on.
    """

    name: str
    kind: FieldKind
    offset: int
    size: int
    signed: bool = False
    count: int = 1
    capacity: int = 0
    mark: int = -1
    style: Style = Style.DECIMAL
    constant: str = ""
    user: bool = False
    bit_offset: int = 0
    bit_size: int = 0
    names: tuple[str, ...] = ()

    @property
    def in_tail(self) -> bool:
        """True where the value's bytes follow the head."""
        return self.kind in _IN_TAIL


@dataclass(frozen=True, slots=True)
class Layout:
    """An event's record. ``head_size`` is a multiple of 8; ``tail_size`` is the most there can be.

    ``mark_offsets`` are the places of the u32 words of marks.
    """

    name: str
    fields: tuple[Field, ...]
    head_size: int
    tail_size: int
    mark_offsets: tuple[int, ...]

    @property
    def is_variable(self) -> bool:
        """True where records of this layout differ in length."""
        return self.tail_size > 0

    @property
    def slack_size(self) -> int:
        """Room behind the tail: a string of a vector is read before it is known to fit."""
        vectors = [f.capacity for f in self.fields if f.kind is FieldKind.STRINGS]
        return max(vectors, default=0) // 4

    def field(self, name: str) -> Field:
        """The field of that name."""
        return next(field for field in self.fields if field.name == name)

    def field_of_hit(self, name: str) -> Field:
        """Return the field of the header, whatever a capture is called."""
        names = (f"_{name}", name)
        return next(field for one in names for field in self.fields if field.name == one)

    def captured(self) -> tuple[Field, ...]:
        """Return the fields that are not of the header."""
        names = {field.name for field in self.fields}
        of_hit = {f"_{name}" if f"_{name}" in names else name for name in HEADER}
        return tuple(f for f in self.fields if f.name != "probe" and f.name not in of_hit)
