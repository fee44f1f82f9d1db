"""bpfprobe's side: what it says to a definition on this machine."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from corpus import ACCEPTED, Verdict

from bpfprobe.errors import SpecError
from bpfprobe.model.span import SourceText
from bpfprobe.parse.any_dialect import parse_description
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
