r"""The format of a description of trace(8): ``"read %d bytes of %s"``.

A conversion is ``%``, flags (``-+ #0``), a width, a precision, and one of ``s c K U``, or ``d u x``
alone or behind ``h``, ``l``, ``ll``. ``%%`` is a percent sign. trace(8) itself knows neither flags
nor widths. A backslash is itself, but for ``\"`` and ``\\``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import spec_error
from bpfprobe.model.message import Shape
from bpfprobe.model.noun import dataclass
from bpfprobe.model.regex import regex

if TYPE_CHECKING:
    import re

    from bpfprobe.model.span import Span

MAX_WIDTH = 255

_CONVERSION = regex(
    r"%(?P<flags>[-+ #0]*)(?P<width>[0-9]*)(?:\.(?P<precision>[0-9]*))?"
    r"(?P<letter>hh?[dux]|l{0,2}[dux]|[scKU%])?"
)
_SIZES = {"hh": 8, "h": 16, "": 32, "l": 64, "ll": 64}


@dataclass(frozen=True, slots=True)
class Hole:
    """A conversion as it stands in a format; ``type_name`` is how its value is taken."""

    shape: Shape
    type_name: str
    flags: str
    width: int
    precision: int
    span: Span


def parse_format(span: Span) -> list[str | Hole]:
    """The literal texts and the conversions of a format in quotes. Raises `SpecError`."""
    text, start = span.text[1:-1], span.start + 1
    parts: list[str | Hole] = []
    literal, at = "", 0
    while at < len(text):
        if text[at] == "\\" and text[at + 1 : at + 2] in ('"', "\\"):
            literal, at = literal + text[at + 1], at + 2
        elif text[at] != "%":
            literal, at = literal + text[at], at + 1
        else:
            found = _CONVERSION.match(text, at)
            assert found is not None
            end = found.end() if found["letter"] else min(found.end() + 1, len(text))
            place = span.source.span(start + at, start + end)
            at = found.end()
            if found["letter"] == "%":
                literal += "%"
                continue
            parts += [literal, _hole(found, place)]
            literal = ""
    return [part for part in [*parts, literal] if part != ""]


def _hole(found: re.Match[str], span: Span) -> Hole:
    letter = found["letter"]
    width = int(found["width"] or 0)
    precision = -1 if found["precision"] is None else int(found["precision"] or 0)
    if letter is None:
        raise spec_error(
            "BAD_FORMAT",
            f"{span.text} is not a conversion",
            span,
            "known are %s %c %d %u %x, with h, l or ll for other sizes, %K and %U for symbols, "
            "and %% for a percent sign; an address is %llx",
        )
    if width > MAX_WIDTH or precision > MAX_WIDTH:
        raise spec_error(
            "BAD_FORMAT", f"a width has at most {MAX_WIDTH} characters", span, "make it smaller"
        )
    shape, type_name = _meaning(letter)
    return Hole(shape, type_name, found["flags"], width, precision, span)


def _meaning(letter: str) -> tuple[Shape, str]:
    if letter == "s":
        return Shape.TEXT, "string"
    if letter == "c":
        return Shape.CHARACTER, "u8"
    if letter in "KU":
        return Shape(letter), "x64"
    bits = _SIZES[letter[:-1]]
    if letter[-1] == "x":
        return Shape.HEX, f"x{bits}"
    return Shape.DECIMAL, f"{'s' if letter[-1] == 'd' else 'u'}{bits}"
