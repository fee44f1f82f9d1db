"""Frozen dataclasses to JSON values and back, each with a tag that names its class.

A noun becomes ``{"": "KInt", "spelling": "int", ...}`` without the fields that have their default;
a tuple becomes a list. Numbers, text, booleans and None stand as they are.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from bpfprobe.errors import TargetError
from bpfprobe.model import ktype, machine

if TYPE_CHECKING:
    from collections.abc import Iterable

TAG = ""
_ERROR = "TargetError"


def _dataclasses_of(*modules: object) -> Iterable[type]:
    for module in modules:
        for value in vars(module).values():
            if isinstance(value, type) and dataclasses.is_dataclass(value):
                yield value


NOUNS: dict[str, type] = {noun.__name__: noun for noun in _dataclasses_of(ktype, machine)}
"""Every class that can be written, by its name."""


def encode(value: object) -> Any:
    """A noun, a tuple of them, a plain value or a `TargetError`, as JSON has it.

    Raises TypeError for any other.
    """
    match value:
        case None | bool() | int() | str():
            return value
        case tuple():
            return [encode(element) for element in value]
        case TargetError():
            return {
                TAG: _ERROR, "message": value.message, "code": value.code, "hint": value.hint
            }  # fmt: skip
    name = type(value).__name__
    if NOUNS.get(name) is not type(value) or not dataclasses.is_dataclass(value):
        raise TypeError(f"a {name} cannot be recorded")
    fields = {
        field.name: encode(getattr(value, field.name))
        for field in dataclasses.fields(value)
        if getattr(value, field.name) != field.default
    }
    return {TAG: name, **fields}


def decode(value: Any) -> Any:
    """What `encode` was given. Raises ValueError for what it never made."""
    if isinstance(value, list):
        return tuple(decode(element) for element in value)
    if not isinstance(value, dict):
        return value
    fields = {key: decode(element) for key, element in value.items() if key != TAG}
    name = value.get(TAG)
    try:
        if name == _ERROR:
            return TargetError(fields["message"], hint=fields["hint"], code=fields["code"])
        return NOUNS[str(name)](**fields)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{name!r} with the fields {sorted(fields)} is no noun: {error}") from None
