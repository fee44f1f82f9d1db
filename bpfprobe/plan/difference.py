"""What two plans differ in, apart from the values that their programs are handed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.model.noun import field_names, is_noun
from bpfprobe.model.value import (
    AllOf,
    AnyOf,
    Compare,
    GlobText,
    MaskedText,
    Parameter,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bpfprobe.model.value import Condition

_NAMES = {
    Compare: "a comparison of numbers",
    MaskedText: "a comparison of text",
    GlobText: "a glob",
    AllOf: "parts joined with &&",
    AnyOf: "parts joined with ||",
}


def filter_difference(running: Condition | None, wanted: Condition | None) -> str:
    """The first thing in words for which ``wanted`` needs other code than ``running``; "" if none.

    Both are filters of a plan.
    """
    if running is None or wanted is None:
        return "" if running is wanted else "the probe was opened without a filter"
    return _difference(running, wanted)


def _difference(running: object, wanted: object) -> str:
    if type(running) is not type(wanted):
        return f"it has {_name(wanted)} where the one that runs has {_name(running)}"
    if isinstance(running, Parameter):
        return ""
    if isinstance(running, tuple) and isinstance(wanted, tuple):
        if len(running) != len(wanted):
            return f"it has {len(wanted)} parts where the one that runs has {len(running)}"
        return _first(zip(running, wanted, strict=True))
    if isinstance(running, (MaskedText, GlobText)) and isinstance(wanted, (MaskedText, GlobText)):
        return _text_difference(running, wanted)
    if isinstance(running, Compare) and isinstance(wanted, Compare):
        found = _difference(running.left, wanted.left) or _difference(running.right, wanted.right)
        if not found and running.operator != wanted.operator:
            found = f"it compares with {wanted.operator}, the one that runs with {running.operator}"
        return found
    if is_noun(running):
        names = field_names(running)
        return _first((getattr(running, name), getattr(wanted, name)) for name in names)
    return "" if running == wanted else f"it has {wanted} where the one that runs has {running}"


def _first(pairs: Iterable[tuple[object, object]]) -> str:
    return next((found for one, other in pairs if (found := _difference(one, other))), "")


def _text_difference(running: MaskedText | GlobText, wanted: MaskedText | GlobText) -> str:
    found = _difference(running.asked.text, wanted.asked.text)
    if not found and running.asked.negated != wanted.asked.negated:
        found = "one of the two has != or a ! before its glob, and the other has not"
    if not found and running.room != wanted.room:
        found = (
            f"its text takes {wanted.room} bytes with what is behind it, rounded up, and the one "
            f"that runs {running.room}"
        )
    return found


def _name(node: object) -> str:
    return _NAMES.get(type(node), "another value")
