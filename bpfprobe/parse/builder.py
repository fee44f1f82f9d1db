"""Probes from Python calls: the same specs that text gives.

Each capture is a keyword: ``path="filename:ustring"``. A capture whose name is taken by an option
(``filter``, ``event``) goes into ``captures={"filter": "..."}``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.errors import spec_error
from bpfprobe.model.span import SourceText
from bpfprobe.model.spec import (
    DEFAULT_STRING_BYTES,
    Capture,
    Point,
    ProbeSpec,
    SyscallPoint,
    TracepointPoint,
    UserPoint,
)
from bpfprobe.parse.capture import check_capture_name, check_unused, parse_value
from bpfprobe.parse.definition import check_event_name, default_name, parse_definition
from bpfprobe.parse.expression import parse_expression
from bpfprobe.parse.place import check_path, parse_kind_place
from bpfprobe.parse.scanner import check_length

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bpfprobe.model.span import Span

MAX_STRING_BYTES = 16384


def probe(definition: str) -> ProbeSpec:
    """A probe from text, in any form that ``bpfprobe trace`` takes.

    Raises `SpecError`.
    """
    return parse_definition(SourceText(_text("definition", definition)))


def kprobe(
    function: str,
    *,
    filter: str | None = None,
    event: str | None = None,
    captures: Mapping[str, str] | None = None,
    comm: bool = True,
    string_bytes: int = DEFAULT_STRING_BYTES,
    **values: str,
) -> ProbeSpec:
    """The entry of a kernel function: ``vfs_read``, ``vfs_read+0x10``, ``module:function``.

    ``filter`` says which hits to keep; ``event`` names the event (the function's name by default);
    ``comm`` False leaves the thread's name out of the event; ``string_bytes`` bounds each string,
    its NUL included. Raises `SpecError` for what can be seen to be wrong without the machine.
    Needs a kernel with CONFIG_KPROBES.
    """
    span = _place(function)
    return _spec(
        parse_kind_place("kprobe", span), span, filter, event, captures, comm, string_bytes, values
    )


def kretprobe(
    function: str,
    *,
    filter: str | None = None,
    event: str | None = None,
    captures: Mapping[str, str] | None = None,
    comm: bool = True,
    string_bytes: int = DEFAULT_STRING_BYTES,
    **values: str,
) -> ProbeSpec:
    """The return of a kernel function. Options as for `kprobe`.

    ``retval`` is what it returned and ``duration`` how long it took, in nanoseconds. A name of an
    argument means the value it was called with; memory behind it is read at the return, as the
    kernel does (``entry(...)`` reads at entry).
    """
    span = _place(function)
    point = parse_kind_place("kretprobe", span)
    return _spec(point, span, filter, event, captures, comm, string_bytes, values)


def uprobe(
    path: str,
    sym: str | None = None,
    *,
    address: int | None = None,
    offset: int | None = None,
    pid: int | None = None,
    filter: str | None = None,
    event: str | None = None,
    captures: Mapping[str, str] | None = None,
    comm: bool = True,
    string_bytes: int = DEFAULT_STRING_BYTES,
    **values: str,
) -> ProbeSpec:
    """A function of a program or library.

    Exactly one of ``sym`` (a symbol, ``name`` or ``name+0x10``), ``address`` (virtual, as nm(1)
    prints it) and ``offset`` (bytes into the file) says where. ``path`` is a file, a program in
    PATH, or a library as the loader finds it (``c``). With ``pid`` only that process is probed.
    Other options as for `kprobe`.
    """
    span, point = _user_point(path, sym, address, offset, pid, returns=False)
    return _spec(point, span, filter, event, captures, comm, string_bytes, values)


def uretprobe(
    path: str,
    sym: str | None = None,
    *,
    address: int | None = None,
    offset: int | None = None,
    pid: int | None = None,
    filter: str | None = None,
    event: str | None = None,
    captures: Mapping[str, str] | None = None,
    comm: bool = True,
    string_bytes: int = DEFAULT_STRING_BYTES,
    **values: str,
) -> ProbeSpec:
    """The return of a function of a program or library: `uprobe` with ``retval``, ``duration``."""
    span, point = _user_point(path, sym, address, offset, pid, returns=True)
    return _spec(point, span, filter, event, captures, comm, string_bytes, values)


def tracepoint(
    name: str,
    *,
    filter: str | None = None,
    event: str | None = None,
    captures: Mapping[str, str] | None = None,
    comm: bool = True,
    string_bytes: int = DEFAULT_STRING_BYTES,
    **values: str,
) -> ProbeSpec:
    """A tracepoint, ``category:name``; its fields go by the names in its ``format`` file."""
    span = _place(name)
    point = parse_kind_place("tracepoint", span)
    assert isinstance(point, TracepointPoint)
    return _spec(point, span, filter, event, captures, comm, string_bytes, values)


def syscall(
    name: str,
    *,
    returns: bool | None = None,
    filter: str | None = None,
    event: str | None = None,
    captures: Mapping[str, str] | None = None,
    comm: bool = True,
    string_bytes: int = DEFAULT_STRING_BYTES,
    **values: str,
) -> ProbeSpec:
    """A system call by its name in the manual, its arguments by theirs.

    ``returns`` True takes the event when the call returns, False when it begins; left open, it is
    the return exactly when ``retval`` or ``duration`` is asked for. Calls of 32-bit programs are
    not seen. Other options as for `kprobe`.
    """
    span = _place(name)
    point = parse_kind_place("syscall", span)
    assert isinstance(point, SyscallPoint)
    if returns is not None:
        point = SyscallPoint(point.name, returns)
    return _spec(point, span, filter, event, captures, comm, string_bytes, values)


def _place(text: str) -> Span:
    return _source("place", text, "place").whole()


def _user_point(
    path: str,
    sym: str | None,
    address: int | None,
    offset: int | None,
    pid: int | None,
    *,
    returns: bool,
) -> tuple[Span, Point]:
    given = [word for word in (sym, address, offset) if word is not None]
    if len(given) != 1:
        raise TypeError("say where with exactly one of sym=, address= and offset=")
    _text("path", path)
    for name, number in (("address", address), ("offset", offset), ("pid", pid)):
        if number is not None and (type(number) is not int or number < 0):
            raise TypeError(f"{name} must be a whole number that is not negative")
    if sym is None:
        span = _source("path", f"{path}:{given[0]:#x}", "place").whole()
        check_path(path, span)
        return span, UserPoint(path, address=address, offset=offset, returns=returns, pid=pid)
    source = _source("path", f"{path}:{_text('sym', sym)}", "place")
    if ":" in sym:
        raise spec_error(
            "BAD_PROBE_ADDR",
            "a symbol has no colon",
            source.span(len(path) + 1, len(source.text)),
            "write it as nm(1) prints it, for C++ the mangled name",
        )
    point = parse_kind_place("uretprobe" if returns else "uprobe", source.whole())
    assert isinstance(point, UserPoint)
    if not point.symbol:
        raise TypeError("sym= takes a name; a number goes to address= or offset=")
    placed = UserPoint(path, symbol=point.symbol, plus=point.plus, returns=returns, pid=pid)
    return source.whole(), placed


def _spec(
    point: Point,
    span: Span,
    condition: str | None,
    event: str | None,
    captures: Mapping[str, str] | None,
    comm: bool,
    string_bytes: int,
    values: Mapping[str, str],
) -> ProbeSpec:
    if type(string_bytes) is not int or not 2 <= string_bytes <= MAX_STRING_BYTES:
        raise TypeError(f"string_bytes must be a whole number from 2 to {MAX_STRING_BYTES}")
    name = default_name(point)
    if event is not None:
        name = check_event_name(event, SourceText(_text("event", event), "event").whole())
    taken: list[Capture] = []
    for key, text in (*(captures or {}).items(), *values.items()):
        taken.append(_capture(key, text, taken))
    parsed = None
    if condition is not None:
        parsed = parse_expression(_source("filter", condition, "filter"))
    return ProbeSpec(
        name, point, span, tuple(taken), parsed, comm, string_bytes, SourceText(str(point))
    )


def _capture(name: str, text: str, before: list[Capture]) -> Capture:
    name_span = SourceText(_text("a capture's name", name), "capture").whole()
    check_capture_name(name, name_span)
    check_unused(name, name_span, before)
    source = _source(name, text, f"capture {name}")
    value, type_name = parse_value(source, 0, len(text))
    return Capture(name, value, type_name, source.whole(), name_span)


def _source(what: str, value: object, label: str) -> SourceText:
    source = SourceText(_text(what, value), label)
    check_length(source)
    return source


def _text(what: str, value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{what} must be a str, not {type(value).__name__}")
    return value
