from __future__ import annotations

from typing import Any

import pytest

import bpfprobe as bp
from bpfprobe.errors import SpecError
from bpfprobe.model.spec import (
    DEFAULT_STRING_BYTES,
    KernelPoint,
    Point,
    SyscallPoint,
    TracepointPoint,
    UserPoint,
)


@pytest.mark.parametrize(
    ("probe", "name", "point"),
    [
        (bp.kprobe("vfs_read"), "vfs_read", KernelPoint("vfs_read")),
        (bp.kprobe("vfs_read+0x10"), "vfs_read", KernelPoint("vfs_read", 0x10)),
        (bp.kprobe("nf:f"), "f", KernelPoint("f", module="nf")),
        (bp.kretprobe("vfs_read"), "vfs_read", KernelPoint("vfs_read", returns=True)),
        (bp.uprobe("bash", "readline"), "readline", UserPoint("bash", "readline")),
        (bp.uprobe("bash", sym="f+4", pid=7), "f", UserPoint("bash", "f", 4, pid=7)),
        (bp.uprobe("/b/x", address=0), "x_0x0", UserPoint("/b/x", address=0)),
        (bp.uprobe("/b/x", offset=16), "x_0x10", UserPoint("/b/x", offset=16)),
        (bp.uretprobe("c", "free"), "free", UserPoint("c", "free", returns=True)),
        (bp.uprobe("/a b:c", "f"), "f", UserPoint("/a b:c", "f")),
        (bp.tracepoint("sched:x"), "x", TracepointPoint("sched", "x")),
        (bp.syscall("openat"), "openat", SyscallPoint("openat")),
        (bp.syscall("openat", returns=True), "openat", SyscallPoint("openat", True)),
        (bp.syscall("openat", returns=False), "openat", SyscallPoint("openat", False)),
        (bp.probe("p:a f"), "a", KernelPoint("f")),
        (bp.kprobe("f", event="other"), "other", KernelPoint("f")),
    ],
)
def test_points(probe: bp.Probe, name: str, point: Point) -> None:
    assert (probe.name, probe.spec.point) == (name, point)


def test_options_and_captures() -> None:
    spec = bp.kretprobe(
        "f", path="name:ustring", fd="$retval:s32", captures={"filter": "a"}, filter="fd > 2",
        comm=False, string_bytes=100,
    ).spec  # fmt: skip
    assert [c.name for c in spec.captures] == ["filter", "path", "fd"]
    assert [c.value.span.text for c in spec.captures] == ["a", "name", "$retval"]
    assert spec.filter is not None
    assert spec.filter.span.source.label == "filter"
    assert spec.captures[1].span.source.label == "capture path"
    assert (spec.comm, spec.string_bytes) == (False, 100)
    plain = bp.kprobe("f").spec
    assert (plain.comm, plain.string_bytes) == (True, DEFAULT_STRING_BYTES)


WRONG: list[tuple[Any, dict[str, Any], str]] = [
    (bp.probe, {"definition": b"p f"}, "definition must be a str, not bytes"),
    (bp.kprobe, {"function": b"f"}, "place must be a str, not bytes"),
    (bp.kprobe, {"function": "f", "filter": 3}, "filter must be a str, not int"),
    (bp.kprobe, {"function": "f", "event": 3}, "event must be a str, not int"),
    (bp.kprobe, {"function": "f", "path": 3}, "path must be a str, not int"),
    (bp.kprobe, {"function": "f", "captures": {3: "a"}}, "a capture's name must be a str"),
    (bp.kprobe, {"function": "f", "string_bytes": "9"}, "string_bytes must be"),
    (bp.kprobe, {"function": "f", "string_bytes": True}, "string_bytes must be"),
    (bp.uprobe, {"path": "x"}, "exactly one of sym=, address= and offset="),
    (bp.uprobe, {"path": "x", "sym": "f", "offset": 4}, "exactly one of"),
    (bp.uprobe, {"path": b"x", "sym": "f"}, "path must be a str"),
    (bp.uprobe, {"path": "x", "sym": b"f"}, "sym must be a str"),
    (bp.uprobe, {"path": "x", "sym": "0x10"}, "a number goes to address= or offset="),
    (bp.uprobe, {"path": "x", "offset": -1}, "offset must be a whole number"),
    (bp.uprobe, {"path": "x", "address": "4"}, "address must be a whole number"),
    (bp.uprobe, {"path": "x", "sym": "f", "pid": 1.5}, "pid must be a whole number"),
    (bp.uprobe, {"path": "x", "sym": "f", "pid": True}, "pid must be a whole number"),
]


@pytest.mark.parametrize("size", [-1, 0, 1, 16385])
def test_strings_have_room(size: int) -> None:
    with pytest.raises(
        bp.OptionError, match=f"string_bytes must be a whole number from 2 to 16384, not {size}"
    ):
        bp.kprobe("f", string_bytes=size)


@pytest.mark.parametrize(("make", "given", "message"), WRONG)
def test_a_type_error_names_the_field(make: Any, given: dict[str, Any], message: str) -> None:
    with pytest.raises(bp.OptionError, match=message):
        make(**given)


@pytest.mark.parametrize(
    ("make", "given", "code", "label", "place"),
    [
        (bp.kprobe, {"function": ""}, "BAD_PROBE_ADDR", "place", ""),
        (bp.kprobe, {"function": "a b"}, "BAD_PROBE_ADDR", "place", "a b"),
        (bp.kprobe, {"function": "f", "event": "a b"}, "BAD_EVENT_NAME", "event", "a b"),
        (bp.kprobe, {"function": "f", "names": "a"}, "USED_ARG_NAME", "capture", "names"),
        (bp.kprobe, {"function": "f", "x": "a +"}, "NO_ARG_BODY", "capture x", ""),
        (bp.kprobe, {"function": "f", "filter": ""}, "NO_FILTER", "filter", ""),
        (bp.kprobe, {"function": "f", "x": "1" * 5000}, "ARG_TOO_LONG", "capture x", "1" * 40),
        (bp.kprobe, {"function": "f", "filter": "a" * 5000}, "ARG_TOO_LONG", "filter", "a" * 40),
        (bp.uprobe, {"path": "/x", "sym": "f(int"}, "BAD_PROBE_ADDR", "place", "/x:f(int"),
        (bp.uprobe, {"path": "", "offset": 1}, "FILE_NOT_FOUND", "place", ":0x1"),
        (bp.uprobe, {"path": "a\0b", "offset": 1}, "FILE_NOT_FOUND", "place", "a\0b:0x1"),
        (bp.uretprobe, {"path": "/x", "sym": "f+4"}, "BAD_RETPROBE", "place", "/x:f+4"),
        (bp.tracepoint, {"name": "sched"}, "BAD_PROBE_ADDR", "place", "sched"),
        (bp.syscall, {"name": "OPEN"}, "BAD_PROBE_ADDR", "place", "OPEN"),
    ],
)
def test_an_error_says_which_keyword(
    make: Any, given: dict[str, Any], code: str, label: str, place: str
) -> None:
    with pytest.raises(SpecError) as caught:
        make(**given)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.span is not None
    assert (diagnostic.code, diagnostic.span.source.label) == (code, label)
    assert diagnostic.span.text == place


def test_text_and_calls_give_the_same() -> None:
    text = bp.probe("reads=kretprobe:vfs_read n=$retval:s64 if n > 10").spec
    call = bp.kretprobe("vfs_read", event="reads", n="$retval:s64", filter="n > 10").spec
    assert (text.name, text.point) == (call.name, call.point)
    assert [c.name for c in text.captures] == [c.name for c in call.captures]
