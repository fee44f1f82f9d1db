"""The verb itself: a bound probe in ftrace's words, or each part that has none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.ftrace.event_filter import UNREADABLE_TEXT, Fields, filter_text
from bpfprobe.ftrace.place import NoFormError, place_of
from bpfprobe.model.arch import arch_named
from bpfprobe.model.ftrace import FtraceEvent, NoForm
from bpfprobe.model.value import CommText, TextEquals, TextMatches
from bpfprobe.model.walk import walk

if TYPE_CHECKING:
    from bpfprobe.ftrace.place import Place
    from bpfprobe.model.bound import Bound
    from bpfprobe.target import Target

GROUP = "bpfprobe"
"""The group of lines whose description names none."""

# kernel/trace/trace_probe.h
_MAX_ARGUMENTS = 128
_MAX_LINE = 4094


def ftrace_event(bound: Bound, arch: str, target: Target) -> FtraceEvent | tuple[NoForm, ...]:
    """The event that means the same as a probe, or each part for which there is none.

    ``arch`` is as uname(1) says it. The names of a tracepoint's fields are asked of the target.
    """
    try:
        place = place_of(bound, arch_named(arch), target)
    except NoFormError as error:
        return (NoForm("place", str(error)),)
    fields = Fields(place)
    wrong: list[NoForm] = []
    for capture in bound.captures:
        name = capture.capture.name
        try:
            fields.add(name, capture.value)
        except NoFormError as error:
            wrong.append(NoForm(name, str(error)))
    text = ""
    if bound.filter is not None:
        try:
            text = filter_text(bound.filter, fields)
        except NoFormError as error:
            wrong.append(NoForm("filter", str(error)))
    event = _event(bound, place, fields, text)
    if len(fields.arguments) > _MAX_ARGUMENTS or len(event.line) > _MAX_LINE:
        most = f"{_MAX_ARGUMENTS} arguments and {_MAX_LINE} characters"
        wrong.append(NoForm("place", f"a line has at most {most}"))
    return tuple(wrong) if wrong else event


def _event(bound: Bound, place: Place, fields: Fields, text: str) -> FtraceEvent:
    group = bound.spec.group or GROUP
    words = [f"{place.letter}:{group}/{bound.spec.name}", place.where]
    words += [f"{name}={fetched}" for name, fetched in fields.arguments.items()]
    needs = [*place.needs]
    for fetched in fields.arguments.values():
        needs += fetched.all_needs
    differs = [*place.differs]
    tests = [n for n in walk(bound.filter) if isinstance(n, (TextEquals, TextMatches))]
    if any(test.negated and not isinstance(test.text, CommText) for test in tests):
        differs.append(UNREADABLE_TEXT)
    return FtraceEvent(
        " ".join(words),
        group,
        bound.spec.name,
        text,
        tuple(dict.fromkeys(needs)),
        tuple(differs),
    )
