"""Frozen dataclasses to JSON values and back, each with a tag that names its class.

A noun becomes ``{"": "KInt", "spelling": "int", ...}`` without the fields that have their default;
a tuple becomes a list. Numbers, text, booleans and None stand as they are.
"""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Any, get_type_hints

from bpfprobe.errors import TargetError
from bpfprobe.model import ktype, machine
from bpfprobe.testing.field_checks import check_fields, fits

if TYPE_CHECKING:
    from collections.abc import Iterable

TAG = ""
MAX_DEPTH = 100
"""How deep values may be nested: a type that is pointed to is a level deeper than its pointer."""
_ERROR = "TargetError"
_CODE = re.compile(r"[A-Z][A-Z0-9_]{0,63}")


def _dataclasses_of(*modules: object) -> Iterable[type]:
    for module in modules:
        for value in vars(module).values():
            if isinstance(value, type) and dataclasses.is_dataclass(value):
                yield value


NOUNS: dict[str, type] = {noun.__name__: noun for noun in _dataclasses_of(ktype, machine)}
"""Every class that can be written, by its name."""
_HINTS = {noun: get_type_hints(noun) for noun in NOUNS.values()}


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


def decode(value: Any, depth: int = 0) -> Any:
    """What `encode` was given. Raises ValueError for what it never made.

    Every field of a noun has the type of its annotation and a number that there can be.
    """
    if depth > MAX_DEPTH:
        raise ValueError(f"its values are nested more than {MAX_DEPTH} deep")
    if isinstance(value, list):
        return tuple(decode(element, depth + 1) for element in value)
    if not isinstance(value, dict):
        return value
    fields = {key: decode(element, depth + 1) for key, element in value.items() if key != TAG}
    name = value.get(TAG)
    if name == _ERROR:
        return _error(fields)
    noun = NOUNS.get(name) if isinstance(name, str) else None
    if noun is None:
        raise ValueError(f"{name!r} is not a noun that is recorded")
    check_fields(noun, fields, _HINTS[noun])
    try:
        return noun(**fields)
    except TypeError as error:
        raise ValueError(f"a {name} is not a noun of {sorted(fields)}: {error}") from None


def _error(fields: dict[str, Any]) -> TargetError:
    if set(fields) != {"message", "code", "hint"} or not fits(str, fields["message"]):
        raise ValueError(f"an error with the fields {sorted(fields)}")
    code, hint = fields["code"], fields["hint"]
    if not fits(str | None, hint) or not isinstance(code, str) or not _CODE.fullmatch(code):
        raise ValueError(f"an error with the code {code!r} and the hint {hint!r}")
    return TargetError(fields["message"], hint=hint, code=code)
