"""Descriptions of Python calls -> specs: the same that text gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import spec_error
from bpfprobe.model.description import DEFINITION, MAX_STRING_BYTES, Description
from bpfprobe.model.expression import Binary
from bpfprobe.model.noun import replace
from bpfprobe.model.options import (
    MAX_ID,
    OptionError,
    check_text,
    check_truth,
    check_whole,
)
from bpfprobe.model.span import SourceText
from bpfprobe.model.spec import (
    Capture,
    KernelPoint,
    Point,
    ProbeSpec,
    SyscallPoint,
    UsdtPoint,
    UserPoint,
)
from bpfprobe.parse.any_dialect import parse_description
from bpfprobe.parse.capture import check_capture_name, check_unused, parse_value
from bpfprobe.parse.definition import default_name
from bpfprobe.parse.dialect import Dialect
from bpfprobe.parse.filter import parse_filter
from bpfprobe.parse.head import check_event_name
from bpfprobe.parse.place import check_path, parse_function, parse_kind_place
from bpfprobe.parse.scanner import check_length

if TYPE_CHECKING:
    from bpfprobe.model.span import Span

_MAX_ADDRESS = (1 << 64) - 1


def build(description: Description) -> ProbeSpec:
    """What a description asks for. Raises `SpecError`; `OptionError` for a wrong type or range."""
    _check_options(description)
    if description.kind == DEFINITION:
        return _in_process(_whole(description), description.pid)
    span, point = _point(description)
    return _spec(point, span, description)


def _whole(description: Description) -> ProbeSpec:
    """A description that is one text, and what was added to it."""
    spec = parse_description(
        SourceText(_text("definition", description.place)),
        _dialect(description.dialect),
        string_bytes=description.string_bytes,
        binary_strings=description.binary_strings,
    )
    if description.force and isinstance(spec.point, (KernelPoint, UserPoint)):
        spec = replace(spec, point=replace(spec.point, force=True))
    captures = list(spec.captures)
    for name, text in description.captures:
        if all(capture.name != name for capture in captures):
            source = _source(name, text, f"capture {name}")
            value, kind = parse_value(source, 0, len(text))
            captures.append(Capture(name, value, kind, source.whole(), source.whole()))
    condition = spec.filter
    if description.filter is not None:
        more = parse_filter(_source("filter", description.filter, "filter"))
        if condition is not None and more is not None:
            more = Binary("&&", condition, more, condition.span, condition.span)
        condition = more or condition
    return replace(spec, captures=tuple(captures), filter=condition)


def _in_process(spec: ProbeSpec, pid: int | None) -> ProbeSpec:
    if pid is None or not isinstance(spec.point, (UserPoint, UsdtPoint)):
        return spec
    return replace(spec, point=replace(spec.point, pid=pid))


def _point(description: Description) -> tuple[Span, Point]:
    if description.kind in ("uprobe", "uretprobe"):
        return _user_point(description)
    if description.kind == "usdt":
        return _marker(description)
    span = _source("place", description.place, "place").whole()
    point = parse_kind_place(description.kind, span)
    if isinstance(point, SyscallPoint) and description.returns is not None:
        point = SyscallPoint(point.name, description.returns)
    return span, point


def _user_point(description: Description) -> tuple[Span, Point]:
    path, sym = description.place, description.symbol
    address, offset, pid = description.address, description.offset, description.pid
    returns = description.kind == "uretprobe"
    given = [word for word in (sym, address, offset) if word is not None]
    if len(given) != 1:
        raise OptionError("say where with exactly one of sym=, address= and offset=")
    _text("path", path)
    for name, number in (("address", address), ("offset", offset)):
        if number is not None:
            check_whole(name, number, 0, _MAX_ADDRESS)
    if sym is None:
        span = _source("path", f"{path}:{given[0]:#x}", "place").whole()
        check_path(path, span)
        return span, UserPoint(
            path,
            address=address,
            offset=offset,
            returns=returns,
            pid=pid,
            force=description.force,
        )
    source = _source("path", f"{path}:{_text('sym', sym)}", "place")
    point = parse_function(path, source.whole(), len(path) + 1, returns=returns)
    if not point.symbol:
        raise OptionError("sym= takes a name; a number goes to address= or offset=")
    return source.whole(), replace(point, ref_ctr_offset=0, pid=pid, force=description.force)


def _marker(description: Description) -> tuple[Span, Point]:
    path, marker = _text("path", description.place), _text("marker", description.symbol)
    source = _source("marker", f"{path}:{marker}", "place")
    point = parse_kind_place("usdt", source.whole())
    assert isinstance(point, UsdtPoint)
    if point.path != path:
        raise spec_error(
            "BAD_PROBE_ADDR",
            "a marker is PROVIDER:NAME, or a name alone",
            source.span(len(path) + 1, len(source.text)),
            "for example gc__start, or python:gc__start",
        )
    return source.whole(), replace(point, pid=description.pid)


def _check_options(description: Description) -> None:
    check_whole("string_bytes", description.string_bytes, 2, MAX_STRING_BYTES)
    check_truth("comm", description.comm)
    check_truth("force", description.force)
    if description.returns is not None:
        check_truth("returns", description.returns)
    if description.pid is not None:
        check_whole("pid", description.pid, 0, MAX_ID)


def _dialect(name: str) -> Dialect | None:
    """The language of that name, None for none. Raises `OptionError`."""
    if not name:
        return None
    known = {dialect.value: dialect for dialect in Dialect}
    if name not in known:
        raise OptionError(f"there is no dialect {name!r}", hint=f"there are {', '.join(known)}")
    return known[name]


def _spec(point: Point, span: Span, description: Description) -> ProbeSpec:
    string_bytes, event = description.string_bytes, description.event
    name = default_name(point)
    if event is not None:
        name = check_event_name(event, SourceText(_text("event", event), "event").whole())
    taken: list[Capture] = []
    for key, text in description.captures:
        taken.append(_capture(key, text, taken, in_program=isinstance(point, UserPoint)))
    parsed = None
    if description.filter is not None:
        parsed = parse_filter(_source("filter", description.filter, "filter"))
    source = SourceText(str(point))
    return ProbeSpec(
        name, point, span, tuple(taken), parsed, description.comm, string_bytes, source
    )


def _capture(name: str, text: str, before: list[Capture], *, in_program: bool) -> Capture:
    name_span = SourceText(_text("a capture's name", name), "capture").whole()
    check_capture_name(name, name_span)
    check_unused(name, name_span, before)
    source = _source(name, text, f"capture {name}")
    value, type_name = parse_value(source, 0, len(text), in_program=in_program)
    return Capture(name, value, type_name, source.whole(), name_span)


def _source(what: str, value: object, label: str) -> SourceText:
    source = SourceText(_text(what, value), label)
    check_length(source)
    return source


def _text(what: str, value: object) -> str:
    check_text(what, value)
    return str(value)
