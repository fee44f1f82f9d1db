"""bpfprobe's side: what it says to a definition on this machine."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from corpus import ACCEPTED, Verdict

from bpfprobe.errors import SpecError
from bpfprobe.model.span import SourceText
from bpfprobe.parse.any_dialect import parse_description
from bpfprobe.parse.appending import check_appended
from bpfprobe.pipeline import describe

if TYPE_CHECKING:
    from bpfprobe.target import Target


class Remembering:
    """A target that is asked each question once: hundreds of definitions ask the same."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def __getattr__(self, question: str) -> Any:
        answer = cache(getattr(self._target, question))
        setattr(self, question, answer)
        return answer


def verdict(text: str, target: Target) -> Verdict:
    """What is said to a definition before anything is compiled or attached."""
    try:
        describe([parse_description(SourceText(text))], target)
    except SpecError as error:
        first = error.diagnostics[0]
        return Verdict(first.code, first.span.start if first.span else -1)
    return Verdict(ACCEPTED)


def appended(first: str, second: str) -> Verdict:
    """What is said to a definition after another one."""
    try:
        check_appended([parse_description(SourceText(text)) for text in (first, second)])
    except SpecError as error:
        (only,) = error.diagnostics
        return Verdict(only.code, only.span.start if only.span else -1)
    return Verdict(ACCEPTED)
