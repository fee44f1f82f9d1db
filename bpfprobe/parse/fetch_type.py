"""The types after the colon: those of the kernel's fetch arguments, ``bool`` and floats.

::

    type = base ["[" COUNT "]"] | "%pd" | "%pD" | "bytes" "[" LENGTH "]"
    base = u8 | u16 | u32 | u64 | s8 | s16 | s32 | s64 | x8 | x16 | x32 | x64 | f32 | f64
         | char | bool | string | ustring | symbol | symstr
         | "b" WIDTH "@" OFFSET "/" ("8" | "16" | "32" | "64")

COUNT, WIDTH and OFFSET are numbers as C writes them, LENGTH is an expression. The places of the
errors are those of parse_probe_arg_type() in kernel/trace/trace_probe.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import spec_error
from bpfprobe.model.number import NUMBER, number_value
from bpfprobe.model.spec import TypeName
from bpfprobe.parse.expression import parse_expression

if TYPE_CHECKING:
    from bpfprobe.model.span import Span

MAX_ARRAY = 64


def parse_type(span: Span) -> TypeName:
    """A type as it is written. Whether its name is one is for a later stage to say."""
    text = span.text.strip()
    start = span.start + len(span.text) - len(span.text.lstrip())
    source = span.source
    span = source.span(start, start + len(text)) if text else span
    base, bracket, array = text.partition("[")
    base = base.rstrip()
    count = 0
    if bracket and base == "bytes":
        return _bytes(span, start + text.index("[") + 1)
    if bracket:
        count = _count(source.span(start + text.index("[") + 1, span.end), array)
    return TypeName(base, count, span)


def _bytes(span: Span, start: int) -> TypeName:
    """``bytes[LENGTH]``; the length begins at ``start``."""
    source = span.source
    if not span.text.endswith("]"):
        end = source.span(span.end, span.end)
        raise spec_error("ARRAY_NO_CLOSE", "what begins with bytes[ ends with ]", end, "add ]")
    if not source.text[start : span.end - 1].strip():
        place = source.span(start - 1, span.end)
        raise spec_error("BAD_ARRAY_NUM", "bytes have a length", place, "for example bytes[$arg3]")
    return TypeName("bytes", 0, span, length=parse_expression(source, start, span.end - 1))


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
    if not NUMBER.fullmatch(digits.strip()) or number_value(digits.strip()) == 0:
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
