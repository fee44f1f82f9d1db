"""A definition in text: the kernel's own form, and the form that names the kind of probe.

::

    definition = [EVENT "="] KIND ":" place { argument } [ "if" expression ]
               | "p" [":" name] WS place { argument } [ "if" expression ]
               | "r" [MAXACTIVE] [":" name] WS place { argument } [ "if" expression ]
    argument   = [NAME "="] expression [":" type]

Arguments are separated by white space; inside brackets and quotes white space is free.
The form with ``p`` and ``r`` is that of Documentation/trace/kprobetrace.rst and uprobetracer.rst.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bpfprobe.errors import spec_error
from bpfprobe.model.spec import (
    Capture,
    ProbeSpec,
    SyscallPoint,
    TracepointPoint,
    UsdtPoint,
    UserPoint,
)
from bpfprobe.parse.capture import parse_capture
from bpfprobe.parse.dialect import KINDS
from bpfprobe.parse.filter import parse_filter
from bpfprobe.parse.place import parse_kernel_place, parse_kind_place
from bpfprobe.parse.scanner import check_length

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfprobe.model.expression import Expression
    from bpfprobe.model.span import SourceText, Span
    from bpfprobe.model.spec import Point

_KERNEL_FORM = re.compile(r"(?P<kind>[pr])(?P<maxactive>[^:\s]*)(?::(?P<name>\S*))?")
_KIND_FORM = re.compile(r"(?:(?P<name>[^\s=:]*)=)?(?P<kind>[a-z]+):(?P<place>\S*)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KINDS_HINT = "begin with p:NAME FUNCTION, r:NAME FUNCTION, or one of " + " ".join(
    f"{k}:" for k in KINDS
)


@dataclass(frozen=True, slots=True)
class _Head:
    name: str
    point: Point
    point_span: Span


def parse_definition(source: SourceText) -> ProbeSpec:
    """One definition. Raises `SpecError`."""
    check_length(source)
    words = list(_words(source))
    if not words:
        raise spec_error("NO_ARG_BODY", "the description is empty", source.whole(), _KINDS_HINT)
    head, rest = _head(source, words)
    captures: list[Capture] = []
    condition: Expression | None = None
    for place, word in enumerate(rest):
        if word.text == "if":
            end = len(source.text.rstrip())
            if place + 1 == len(rest):
                raise spec_error(
                    "NO_EP_FILTER", "no filter follows if", word, "for example: if pid == 42"
                )
            condition = parse_filter(source, word.end, end)
            break
        captures.append(parse_capture(source, word, captures))
    return ProbeSpec(
        name=head.name or default_name(head.point),
        point=head.point,
        point_span=head.point_span,
        captures=tuple(captures),
        filter=condition,
        source=source,
    )


def check_event_name(name: str, span: Span) -> str:
    """An event's name is a C identifier of at most 63 characters, as in the kernel."""
    if not name:
        raise spec_error("NO_EVENT_NAME", "an event name is missing", span)
    if not _NAME.fullmatch(name):
        raise spec_error(
            "BAD_EVENT_NAME",
            f"{name!r} is no event name",
            span,
            "letters, digits and _, and no digit first",
        )
    if len(name) > 63:
        raise spec_error("EVENT_TOO_LONG", "an event name has at most 63 characters", span)
    return name


def default_name(point: Point) -> str:
    """A name made from the place, for a probe that was given none."""
    if isinstance(point, (TracepointPoint, SyscallPoint, UsdtPoint)):
        text = point.name
    elif isinstance(point, UserPoint):
        number = point.address if point.offset is None else point.offset
        text = point.symbol or f"{point.path.rpartition('/')[2]}_{number or 0:#x}"
    else:
        text = point.symbol or f"at_{point.address:#x}"
    name = re.sub(r"[^A-Za-z0-9_]", "_", text)[:63]
    return f"_{name[:62]}" if not name or name[0].isdigit() else name


def _head(source: SourceText, words: list[Span]) -> tuple[_Head, list[Span]]:
    first = words[0]
    if (found := _KIND_FORM.fullmatch(first.text)) and found["kind"] in KINDS:
        at = first.start
        if found["name"] is not None:
            check_event_name(found["name"], source.span(at, at + max(1, found.end("name"))))
        place = source.span(at + found.start("place"), at + found.end("place"))
        point = parse_kind_place(found["kind"], place)
        return _Head(found["name"] or "", point, place), words[1:]
    kernel = _KERNEL_FORM.fullmatch(first.text)
    if kernel is None or (kernel["maxactive"] and not _is_maxactive(kernel, first)):
        raise spec_error("BAD_PROBE", f"{first.text!r} names no kind of probe", first, _KINDS_HINT)
    name = _kernel_name(kernel, first)
    if len(words) < 2:
        raise spec_error("BAD_PROBE_ADDR", "the place to probe is missing", first, _KINDS_HINT)
    point = parse_kernel_place(words[1], returns=kernel["kind"] == "r")
    return _Head(name, point, words[1]), words[2:]


def _is_maxactive(found: re.Match[str], word: Span) -> bool:
    text = found["maxactive"]
    span = word.source.span(word.start + 1, word.start + 1 + len(text))
    if not text[0].isdigit():
        return False
    if found["kind"] == "p":
        raise spec_error(
            "BAD_MAXACT_TYPE", "maxactive is for return probes", span, "write r, or drop the number"
        )
    raise spec_error(
        "BAD_MAXACT",
        "maxactive cannot be set",
        span,
        "the kernel takes it through tracefs only, which leaves probes behind when a tracer is "
        "killed; drop the number: returns that the kernel missed are counted in the statistics",
    )


def _kernel_name(found: re.Match[str], word: Span) -> str:
    text = found["name"]
    if text is None:
        return ""
    start = word.start + found.start("name")
    group, slash, event = text.rpartition("/")
    if slash and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", group):
        raise spec_error(
            "BAD_GROUP_NAME" if group else "NO_GROUP_NAME",
            "a group's name is letters, digits, _ and -",
            word.source.span(start, start + max(1, len(group))),
        )
    span = word.source.span(start + len(group) + len(slash), word.end)
    return check_event_name(event, span)


def _words(source: SourceText) -> Iterator[Span]:
    """Runs of text between white space that is outside of brackets and quotes."""
    text, at, end = source.text, 0, len(source.text)
    while at < end:
        if text[at].isspace():
            at += 1
            continue
        start, depth, quote = at, 0, ""
        while at < end and (depth > 0 or quote or not text[at].isspace()):
            char = text[at]
            if quote:
                at += char == "\\"
                quote = "" if char == quote else quote
            elif char in "\"'":
                quote = char
            elif char in "([":
                depth += 1
            elif char in ")]":
                depth -= 1
            at += 1
        at = min(at, end)
        word = source.span(start, at)
        yield word
        if word.text == "if":
            rest = text[at:].strip()
            if rest:
                yield source.span(at, end)
            return
