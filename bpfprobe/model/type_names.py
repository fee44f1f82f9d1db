"""The types after the colon, by name: those of the kernel's fetch arguments, and some more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import SpecError, spec_error
from bpfprobe.model.number import NUMBER, number_value
from bpfprobe.model.regex import regex
from bpfprobe.model.scalar import float_named, scalar_named

if TYPE_CHECKING:
    from bpfprobe.model.spec import TypeName

NAME_TYPES = ("%pd", "%pD")
OTHER_TYPES = frozenset(["string", "ustring", "symbol", "symstr", "bytes"])
TYPES_HINT = (
    "types are u8..u64 s8..s64 x8..x64 f32 f64 char bool string ustring symbol symstr %pd %pD "
    "bWIDTH@OFFSET/SIZE, and [N] after one; bytes[LENGTH]"
)
_BITS = regex(r"b(?P<width>[^@/]*)(?:@(?P<offset>[^/]*))?/(?P<size>.*)")
_SIZES = (8, 16, 32, 64)


def check_type_name(type_name: TypeName) -> None:
    """Raise `SpecError` (BAD_TYPE) for a name that is not a type."""
    base = type_name.base
    if base in OTHER_TYPES or scalar_named(base) or float_named(base):
        return
    if _container(base) in _SIZES:
        return
    if base in NAME_TYPES and not type_name.count:
        return
    text = type_name.span.text
    message = f"{text} is not a type" if text else "a type is missing after the colon"
    raise spec_error("BAD_TYPE", message, type_name.span, TYPES_HINT)


def bit_field(type_name: TypeName) -> tuple[str, int, int] | None:
    """Of ``bWIDTH@OFFSET/SIZE`` the number that it is in, the offset and the width.

    None for every other type. Raises `SpecError` (BAD_BITFIELD).
    """
    found, size = _BITS.fullmatch(type_name.base), _container(type_name.base)
    if found is None or size is None:
        return None
    width, offset = _number(found["width"]), _number(found["offset"] or "")
    if not width or offset is None or width + offset > size:
        raise _bad_bit_field(type_name, size)
    return f"u{size}", offset, width


def _bad_bit_field(type_name: TypeName, size: int) -> SpecError:
    return spec_error(
        "BAD_BITFIELD",
        f"{type_name.base} is not a bit field",
        type_name.span,
        f"bWIDTH@OFFSET/{size}: WIDTH bits from bit OFFSET on, {size} together at most",
    )


def _container(base: str) -> int | None:
    found = _BITS.fullmatch(base)
    return _number(found["size"]) if found else None


def _number(text: str) -> int | None:
    return number_value(text) if NUMBER.fullmatch(text) else None
