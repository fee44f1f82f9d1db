"""Captures without a name: that of an argument or a field is for the capture that takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.model.expression import MemberOf, Name, Variable
from bpfprobe.model.names import can_be_named, name_by_place
from bpfprobe.model.noun import replace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bpfprobe.model.spec import Capture
    from bpfprobe.resolve.scope import Scope


def named_for_fields(captures: Sequence[Capture], scope: Scope) -> list[Capture]:
    """Return the captures, named so that no builtin has the name of an argument or a field.

    Before this they are named by their words alone, for which ``$pid`` and ``pid`` are alike.
    """
    taken = {one.name for one in captures if not _is_namesake(one, scope)}
    owners: dict[int, str] = {}
    for place, capture in enumerate(captures, 1):
        name = _field_of(capture, scope)
        if name and can_be_named(name, taken):
            owners[place] = name
            taken.add(name)
    named: list[Capture] = []
    for place, capture in enumerate(captures, 1):
        name = owners.get(place, "")
        if not name and _is_namesake(capture, scope):
            name = name_by_place(place, taken.union(scope.arguments))
            taken.add(name)
        named.append(replace(capture, name=name) if name else capture)
    return named


def _is_namesake(capture: Capture, scope: Scope) -> bool:
    """Whether a capture has the name of an argument or field of which it is not the value."""
    if capture.name_span != capture.span or not isinstance(capture.value, Variable):
        return False
    name = capture.value.name
    if name != capture.name or name not in scope.arguments or scope.is_eprobe:
        return False
    number = name.removeprefix("arg")
    return not number.isdecimal() or (scope.numbered.get(int(number)) is not scope.arguments[name])


def _field_of(capture: Capture, scope: Scope) -> str:
    """Return the name of the argument or field that a capture takes without its name, else ""."""
    if capture.name_span != capture.span or not capture.name.startswith(("arg", "value")):
        return ""  # it has its own, or was given one
    match capture.value:
        case Name(name) if name in scope.arguments:
            return name
        case MemberOf(Name("args"), name) if not scope.has_args:
            return name
    return ""
