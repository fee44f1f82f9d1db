"""A description in any dialect -> spec."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bpfprobe.model.description import DEFAULT_STRING_BYTES
from bpfprobe.model.noun import replace
from bpfprobe.model.regex import regex
from bpfprobe.model.span import SourceText
from bpfprobe.parse.definition import parse_definition
from bpfprobe.parse.dialect import Dialect, dialect_of

if TYPE_CHECKING:
    from bpfprobe.model.spec import ProbeSpec

_SHORT = regex(
    r"\s*[pr]:(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<rest>\s*|\s+(?:[A-Za-z_]\w*=|[%$@+\-\\]|if\s).*)",
    re.DOTALL,
)


def parse_description(
    source: SourceText,
    dialect: Dialect | None = None,
    *,
    string_bytes: int = DEFAULT_STRING_BYTES,
    binary_strings: bool = False,
) -> ProbeSpec:
    """One description, in the dialect that it looks like unless one is given.

    ``binary_strings`` is trace(8)'s ``-B``. Raises `SpecError`.
    """
    if (dialect or dialect_of(source.text)) is Dialect.TRACE8:
        from bpfprobe.parse.trace8.probe import parse_trace8

        return parse_trace8(source, string_bytes=string_bytes, binary_strings=binary_strings)
    return replace(parse_definition(with_place(source)), string_bytes=string_bytes)


def with_place(source: SourceText) -> SourceText:
    """kprobe(8)'s short form spelt out: ``p:FUNCTION ...`` is ``p:FUNCTION FUNCTION ...``.

    It is meant where nothing, or a value to take, follows the name.
    """
    found = _SHORT.fullmatch(source.text)
    if found is None:
        return source
    end = found.end("name")
    return SourceText(f"{source.text[:end]} {found['name']}{source.text[end:]}", source.label)
