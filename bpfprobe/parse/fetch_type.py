"""The types after the colon: those of the kernel's fetch arguments, and ``bool``.

::

    type = base ["[" COUNT "]"] | "%pd" | "%pD"
    base = u8 | u16 | u32 | u64 | s8 | s16 | s32 | s64 | x8 | x16 | x32 | x64 | char | bool
         | string | ustring | symbol | symstr | "b" WIDTH "@" OFFSET "/" ("8" | "16" | "32" | "64")

COUNT, WIDTH and OFFSET are numbers as C writes them. The places of the errors are those of
parse_probe_arg_type() in kernel/trace/trace_probe.c.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bpfprobe.errors import spec_error
from bpfprobe.model.spec import TypeName
from bpfprobe.parse.fetcharg import number_value

if TYPE_CHECKING:
    from bpfprobe.model.span import Span

MAX_ARRAY = 64

_NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*")
_BITS = re.compile(r"b(?P<width>[^@/]*)(?:@(?P<offset>[^/]*))?/(?P<size>.*)")
_SIZES = ("8", "16", "32", "64")


def parse_type(span: Span) -> TypeName:
    """A type as it is written. Whether its name is one is for a later stage to say."""
    text = span.text.strip()
    start = span.start + len(span.text) - len(span.text.lstrip())
    source = span.source
    span = source.span(start, start + len(text)) if text else span
    base, bracket, array = text.partition("[")
    base = base.rstrip()
    count = 0
    if bracket:
        count = _count(source.span(start + text.index("[") + 1, span.end), array)
    if base.startswith("b") and "/" in base:
        return _bit_field(base, count, span)
    return TypeName(base, count, span)


def _count(span: Span, array: str) -> int:
    """The number of elements; ``array`` is what follows the opening bracket, as is ``span``."""
    source, start = span.source, span.start
    digits, closed, rest = array.partition("]")
    if not closed:
        end = source.span(span.end, span.end)
        raise spec_error("ARRAY_NO_CLOSE", "the array is not closed", end, "add ]")
    if rest:
        raise spec_error(
            "BAD_ARRAY_SUFFIX",
            f"{rest!r} means nothing behind an array",
            source.span(start + len(digits) + 1, span.end),
            "an array has one dimension",
        )
    place = source.span(start, start + max(1, len(digits)))
    if not _NUMBER.fullmatch(digits.strip()) or number_value(digits.strip()) == 0:
        raise spec_error(
            "BAD_ARRAY_NUM", "an array needs a number of elements", place, f"1 to {MAX_ARRAY}"
        )
    count = number_value(digits.strip())
    if count > MAX_ARRAY:
        raise spec_error(
            "ARRAY_TOO_BIG",
            f"an array has at most {MAX_ARRAY} elements",
            place,
            "take it in several captures",
        )
    return count


def _bit_field(base: str, count: int, span: Span) -> TypeName:
    found = _BITS.fullmatch(base)
    size = _number(found["size"]) if found else None
    if found is None or str(size) not in _SIZES:
        raise spec_error(
            "BAD_TYPE",
            f"{base} is no type",
            span,
            "a bit field is bWIDTH@OFFSET/SIZE with a SIZE of 8, 16, 32 or 64, as b4@2/8",
        )
    assert size is not None
    width, offset = _number(found["width"]), _number(found["offset"] or "")
    if not width or offset is None or width + offset > size:
        raise spec_error(
            "BAD_BITFIELD",
            f"{base} is no bit field",
            span,
            f"bWIDTH@OFFSET/{size}: WIDTH bits from bit OFFSET on, {size} together at most",
        )
    return TypeName(f"u{size}", count, span, bit_offset=offset, bit_size=width)


def _number(text: str) -> int | None:
    return number_value(text) if _NUMBER.fullmatch(text) else None
