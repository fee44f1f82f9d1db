"""The head of a definition: the kind of probe, the names of its group and event, the place."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bpfprobe.errors import SpecError, spec_error
from bpfprobe.model.noun import dataclass
from bpfprobe.model.number import NUMBER, number_value
from bpfprobe.model.regex import regex
from bpfprobe.parse.dialect import KINDS
from bpfprobe.parse.place import (
    parse_eprobe_place,
    parse_fprobe_place,
    parse_kernel_place,
    parse_kind_place,
)

if TYPE_CHECKING:
    from bpfprobe.model.span import SourceText, Span
    from bpfprobe.model.spec import Point

KINDS_HINT = "begin with p:NAME FUNCTION, r:NAME FUNCTION, or one of " + " ".join(
    f"{k}:" for k in KINDS
)
MOST_NAME_CHARS = 63
MOST_MAXACTIVE = 4096
"""KRETPROBE_MAXACTIVE_MAX of kernel/trace/trace_kprobe.c."""

_KERNEL_FORM = regex(r"(?P<kind>[prfte])(?P<maxactive>[^:]*)(?::(?P<name>.*))?")
_KIND_FORM = regex(r"(?:(?P<name>[^\s=:]*)=)?(?P<kind>[a-z]+):(?P<place>.*)", re.DOTALL)
_NAME = regex(r"[A-Za-z_][A-Za-z0-9_]*")
_GROUP = regex(r"[A-Za-z_][A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class Head:
    """What stands before the values; names are empty where none were given."""

    group: str
    name: str
    point: Point
    point_span: Span


def parse_head(source: SourceText, words: list[Span]) -> tuple[Head, list[Span]]:
    """The head, and the words behind it. Raises `SpecError`."""
    first = words[0]
    if (found := _KIND_FORM.fullmatch(first.text)) and found["kind"] in KINDS:
        at = first.start
        if found["name"] is not None:
            check_event_name(found["name"], source.span(at, at + max(1, found.end("name"))))
        place = source.span(at + found.start("place"), at + found.end("place"))
        point = parse_kind_place(found["kind"], place)
        return Head("", found["name"] or "", point, place), words[1:]
    if first.text.startswith("-:"):
        raise _deletion(first)
    kernel = _KERNEL_FORM.fullmatch(first.text)
    if kernel is None:
        raise _no_kind(first)
    kind = kernel["kind"]
    maxactive = _maxactive(kernel, first)
    group, name = _names(kernel, first)
    if len(words) < 2:
        raise spec_error("BAD_PROBE_ADDR", "the place to probe is missing", first, KINDS_HINT)
    if maxactive and "/" in words[1].text:
        raise spec_error(
            "BAD_MAXACT_TYPE",
            "returns of a program are not limited",
            _maxactive_span(kernel, first),
            "drop the number",
        )
    return Head(group, name, _place(kind, words[1], maxactive), words[1]), words[2:]


def check_event_name(name: str, span: Span) -> str:
    """An event's name is a C identifier of at most 63 characters, as in the kernel."""
    if not name:
        raise spec_error("NO_EVENT_NAME", "an event name is missing", span, "for example p:opened")
    if len(name) > MOST_NAME_CHARS:
        raise spec_error(
            "EVENT_TOO_LONG",
            f"an event name has at most {MOST_NAME_CHARS} characters",
            span,
            "shorten it",
        )
    if not _NAME.fullmatch(name):
        raise spec_error(
            "BAD_EVENT_NAME",
            f"{name!r} is no event name",
            span,
            "letters, digits and _, and no digit first",
        )
    return name


def _place(kind: str, span: Span, maxactive: int) -> Point:
    if kind == "f":
        return parse_fprobe_place(span)
    if kind == "e":
        return parse_eprobe_place(span)
    if kind == "t":
        raise spec_error(
            "RAW_TRACEPOINT",
            "tracepoints without their event are not reached yet",
            span,
            f"tracepoint:CATEGORY:{span.text} has the event's fields by name; "
            f"bpfprobe list 'tracepoint:*:{span.text}*' finds the category",
        )
    return parse_kernel_place(span, returns=kind == "r", maxactive=maxactive)


def _deletion(first: Span) -> SpecError:
    return spec_error(
        "NO_DELETION",
        "there is nothing to delete: a probe of bpfprobe ends with the program that attached it",
        first,
        "to delete an event of the kernel's own: echo '-:GROUP/EVENT' >> "
        "/sys/kernel/tracing/dynamic_events",
    )


def _no_kind(first: Span) -> SpecError:
    return spec_error("BAD_PROBE", f"{first.text!r} names no kind of probe", first, KINDS_HINT)


def _maxactive(found: re.Match[str], word: Span) -> int:
    """Return the number after the letter, 0 without one. Raises `SpecError`.

    parse_maxactive() and trace_kprobe_create() of the kernel: none but ``r`` has one, and 0 calls
    at a time are a mistake, not the default.
    """
    text = found["maxactive"]
    if not text:
        return 0
    span = _maxactive_span(found, word)
    if not text[0].isdigit():
        raise _no_kind(word)
    if found["kind"] == "p":
        raise spec_error(
            "BAD_MAXACT_TYPE", "maxactive is for return probes", span, "write r, or drop the number"
        )
    if found["kind"] != "r":
        message = f"{found['kind']} takes no number of calls"
        raise spec_error("BAD_MAXACT", message, span, "drop the number; r has one, as in r16")
    number = number_value(text) if NUMBER.fullmatch(text) else 0
    if number == 0:
        raise spec_error(
            "BAD_MAXACT",
            f"{text} is not a number of calls",
            span,
            f"r1 to r{MOST_MAXACTIVE}, or r for the kernel's own number",
        )
    if number > MOST_MAXACTIVE:
        message = f"maxactive must be at most {MOST_MAXACTIVE}"
        raise spec_error("MAXACT_TOO_BIG", message, span, f"r{MOST_MAXACTIVE}")
    return number


def _maxactive_span(found: re.Match[str], word: Span) -> Span:
    return word.source.span(word.start + 1, word.start + 1 + len(found["maxactive"]))


def _names(found: re.Match[str], word: Span) -> tuple[str, str]:
    """Group and event. Raises `SpecError` as traceprobe_parse_event_name() refuses them."""
    text = found["name"]
    if text is None:
        return "", ""
    source, start = word.source, word.start + found.start("name")
    separator = "/" if "/" in text else "."
    group, slash, event = text.partition(separator)
    if not slash:
        event_span = source.span(start, word.end)
        return "", check_event_name(text, event_span)
    span = source.span(start, start + max(1, len(group)))
    if not group:
        raise spec_error("NO_GROUP_NAME", "a group's name is missing", span, "p:GROUP/EVENT")
    if len(group) > MOST_NAME_CHARS:
        raise spec_error(
            "GROUP_TOO_LONG",
            f"a group's name has at most {MOST_NAME_CHARS} characters",
            span,
            "shorten it",
        )
    if not _GROUP.fullmatch(group):
        raise spec_error(
            "BAD_GROUP_NAME",
            f"{group!r} is not a name of a group",
            span,
            "letters, digits, _ and -, and no digit first",
        )
    if not event:
        return group, ""
    return group, check_event_name(event, source.span(start + len(group) + 1, word.end))
