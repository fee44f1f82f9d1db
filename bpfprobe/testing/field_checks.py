"""What a field of a recording may hold: the type of its annotation, and numbers that there can be.

A recording may be anybody's. Its answers are typed values to all that asks a target, and some of
them are printed into C as numbers, so none is taken that the annotation does not allow.
"""

from __future__ import annotations

import types
import typing
from typing import Any

_U16, _U64 = range(1 << 16), range(1 << 64)
_ALIGNMENTS = frozenset({0, *(1 << n for n in range(32))})
_ANY = range(-(1 << 63), 1 << 64)

_NUMBERS: dict[str, range | frozenset[int]] = {
    "KInt.size": frozenset({1, 2, 4, 8, 16}),
    "KFloat.size": frozenset({4, 8}),
    "KPointer.size": frozenset({4, 8}),
    "KStruct.alignment": _ALIGNMENTS,
    "Member.alignment": _ALIGNMENTS,
    "Member.bit_offset": range(128),
    "Member.bit_size": range(129),
    "Parameter.register": range(-1, 256),
    "TracepointField.offset": _U16,
    "TracepointField.size": _U16,
    "TracepointField.element_size": _U16,
    "Tracepoint.event_id": range(1 << 31),
    "Instruction.size": range(16),
    "MachineFacts.cpus": range(1, 1 << 16),
    "MachineFacts.page_size": frozenset({4096, 16384, 65536}),
}
"""Numbers that are less than any; those left out are addresses, places and sizes in files."""


def check_fields(noun: type, fields: dict[str, object], hints: dict[str, Any]) -> None:
    """Raise ValueError for a field that a noun of this class cannot have."""
    for name, value in fields.items():
        key = f"{noun.__name__}.{name}"
        if name not in hints or not fits(hints[name], value):
            raise ValueError(f"{key} is {_shown(value)}")
        if type(value) is int and value not in _NUMBERS.get(key, _U64):
            raise ValueError(f"{key} is {value}, which it cannot be")


def fits(hint: Any, value: object) -> bool:
    """Return whether a value is of the type that an annotation says, and a text is one."""
    if isinstance(hint, typing.NewType):
        return fits(hint.__supertype__, value)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(fits(one, value) for one in arguments)
    if origin is tuple:
        if type(value) is not tuple:
            return False
        if arguments[1:] == (...,):
            return all(fits(arguments[0], part) for part in value)
        return len(value) == len(arguments) and all(map(fits, arguments, value))
    if type(value) is not hint:
        return False
    if type(value) is str:
        return is_text(value)
    return type(value) is not int or value in _ANY


def is_text(text: str) -> bool:
    """Return whether bytes without NUL can be had back from it."""
    try:
        return b"\0" not in text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a lone surrogate that is not a byte
        return False


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
