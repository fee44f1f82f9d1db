"""Descriptions on a command line: themselves, or files of them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bpfprobe.errors import SpecError, TargetError, UsageError
from bpfprobe.model.span import SourceText
from bpfprobe.parse.any_dialect import parse_description
from bpfprobe.parse.appending import check_appended
from bpfprobe.parse.definition_lines import definition_lines
from bpfprobe.target.files import read_regular

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bpfprobe.errors import Diagnostic
    from bpfprobe.model.spec import ProbeSpec

_MOST_BYTES = 1 << 20


def given_specs(words: Sequence[str]) -> list[ProbeSpec]:
    """Every description, a file's by its lines.

    Raises `SpecError` with all that are none, `UsageError` where there is nothing, and for a file
    `TargetError` (NO_FILE, NOT_REGULAR, NO_ACCESS, TOO_BIG, NOT_TEXT).
    """
    sources: list[SourceText] = []
    for word in words:
        text = _text_of(word)
        sources += [SourceText(word)] if text is None else definition_lines(text, word)
    if not sources:
        raise UsageError(f"{', '.join(words)}: no description there", hint="one stands on a line")
    return _parsed(sources)


def specs_in(name: str) -> list[ProbeSpec]:
    """The descriptions of a file. Raises as `given_specs`."""
    return _parsed(list(definition_lines(_file_text(name), name)))


def _parsed(sources: Sequence[SourceText]) -> list[ProbeSpec]:
    specs: list[ProbeSpec] = []
    wrong: list[Diagnostic] = []
    for source in sources:
        try:
            specs.append(parse_description(source))
        except SpecError as error:
            wrong += error.diagnostics
    if wrong:
        raise SpecError(wrong)
    check_appended(specs)
    return specs


def _text_of(word: str) -> str | None:
    """What is in the file of that name; None for a description."""
    looks_like_a_path = "/" in word and ":" not in word and not any(map(str.isspace, word))
    # Path.exists() raises for what is too long to be a name.
    if not looks_like_a_path and not os.path.exists(word):  # noqa: PTH110
        return None
    return _file_text(word)


def _file_text(name: str) -> str:
    try:
        return read_regular(name, _MOST_BYTES).decode()
    except UnicodeDecodeError as error:
        raise TargetError(f"{name} is not text in UTF-8", code="NOT_TEXT") from error
