"""Captures without a name that take a field whose name every event has as well."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.model.expression import MemberOf, Name
from bpfprobe.model.layout import HEADER
from bpfprobe.model.noun import replace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bpfprobe.model.spec import Capture
    from bpfprobe.resolve.scope import Scope


def named_for_fields(captures: Sequence[Capture], scope: Scope) -> list[Capture]:
    """Return the captures, those that take an argument or a field called so named for it."""
    taken = {capture.name for capture in captures}
    named: list[Capture] = []
    for capture in captures:
        name = _field_of_a_hit(capture, scope)
        if name and name not in taken:
            taken.add(name)
            capture = replace(capture, name=name)
        named.append(capture)
    return named


def _field_of_a_hit(capture: Capture, scope: Scope) -> str:
    """Return the name of an argument or field like ``pid`` that a capture takes, else ""."""
    if capture.name_span != capture.span or not capture.name.startswith("arg"):
        return ""  # it was given a name
    match capture.value:
        case Name(name) if name in HEADER and name in scope.arguments:
            return name
        case MemberOf(Name("args"), name) if name in HEADER and not scope.has_args:
            return name
    return ""
