"""Goes through a value and all that it is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.model.noun import field_names, is_noun
from bpfprobe.model.stack import StackValue
from bpfprobe.model.value import (
    ArgumentVector,
    ArrayValue,
    BytesAt,
    Load,
    TextArray,
    TextAt,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


def walk(node: object) -> Iterator[object]:
    """The node itself, then every dataclass inside of it, depth first."""
    yield node
    if isinstance(node, tuple):
        for item in node:
            yield from walk(item)
    elif is_noun(node):
        for name in field_names(node):
            inner = getattr(node, name)
            if is_noun(inner) or isinstance(inner, tuple):
                yield from walk(inner)


def can_fail(value: object) -> bool:
    """Whether taking the value reads memory that may not be there."""
    kinds = (Load, TextAt, ArrayValue, BytesAt, TextArray, ArgumentVector, StackValue)
    return any(isinstance(node, kinds) for node in walk(value))
