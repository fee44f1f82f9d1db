from __future__ import annotations

import pytest

import bpfprobe as bp
from bpfprobe.errors import SpecError
from bpfprobe.model.event import Event
from bpfprobe.model.names import EVENT_NAMES
from bpfprobe.parse.capture import MAX_CAPTURES


@pytest.mark.parametrize(
    ("text", "name", "type_name"),
    [
        ("count", "count", None),
        ("dfd", "dfd", None),
        ("dfd:u32", "dfd", ("u32", 0)),
        ("x=dfd", "x", None),
        ("x=dfd:s64", "x", ("s64", 0)),
        ("$retval:s32", "retval", ("s32", 0)),
        ("$arg1", "arg1", None),
        ("how->flags:x64", "flags", ("x64", 0)),
        ("%di", "arg1", None),
        ("+0(%si):string", "arg1", ("string", 0)),
        ("x=+0(%si):x8[16]", "x", ("x8", 16)),
        ("x=@sym+4:b10@2/16", "x", ("b10@2/16", 0)),
        ('x="a:b"', "x", None),
        ("ok=comm==\"a:b\"", "ok", None),
        ("x=a!=b", "x", None),
        ("a<=b", "arg1", None),
        ("comm", "arg1", None),
        ("$pid", "arg1", None),
        ("_hidden", "arg1", None),
        ("layout", "arg1", None),  # every event has an attribute of that name
        (f"{'n' * 33}", "arg1", None),
    ],
)  # fmt: skip
def test_names_and_types(text: str, name: str, type_name: tuple[str, int] | None) -> None:
    (capture,) = bp.probe(f"p f {text}").spec.captures
    seen = capture.type and (capture.type.base, capture.type.count)
    assert (capture.name, seen) == (name, type_name)


def test_a_default_name_that_is_taken_gives_way_to_the_place() -> None:
    spec = bp.probe("p f flags how->flags a->b c->b").spec
    assert [capture.name for capture in spec.captures] == ["flags", "arg2", "b", "arg4"]


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("=@11", "NO_ARG_NAME", "="),
        ("var.1=@11", "BAD_ARG_NAME", "var.1"),
        ("1a=@11", "BAD_ARG_NAME", "1a"),
        (f"{'n' * 33}=@11", "ARG_NAME_TOO_LONG", "n" * 33),
        ("var1=@12", "USED_ARG_NAME", "var1"),
        ("faults=@12", "USED_ARG_NAME", "faults"),
        ("names=@12", "USED_ARG_NAME", "names"),
        ("_x=@12", "USED_ARG_NAME", "_x"),
        ("x=$arg*", "BAD_VAR", "$arg*"),
        ("common_pid=@11", "USED_ARG_NAME", "common_pid"),
        ("x=@11:u8[10", "ARRAY_NO_CLOSE", ""),
        ("x=@11:u8[10]a", "BAD_ARRAY_SUFFIX", "a"),
        ("x=@11:u8[10a]", "BAD_ARRAY_NUM", "10a"),
        ("x=@11:u8[0]", "BAD_ARRAY_NUM", "0"),
        ("x=@11:u8[٣]", "BAD_ARRAY_NUM", "٣"),
        ("x=@11:u8[256]", "ARRAY_TOO_BIG", "256"),
    ],
)
def test_errors(text: str, code: str, place: str) -> None:
    with pytest.raises(SpecError) as caught:
        bp.probe(f"p f var1=@11 {text}")
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.code, diagnostic.span and diagnostic.span.text) == (code, place)


def test_there_is_a_most() -> None:
    all_of_them = "p f " + " ".join(f"c{n}=1" for n in range(MAX_CAPTURES))
    assert len(bp.probe(all_of_them).spec.captures) == MAX_CAPTURES
    with pytest.raises(SpecError) as caught:
        bp.probe(f"{all_of_them} more=1")
    assert caught.value.code == "TOO_MANY_ARGS"


def test_no_capture_can_hide_what_an_event_has() -> None:
    public = {name for name in dir(Event) if not name.startswith("_")} - {"count", "index"}
    assert public | {"time", "pid", "tid", "cpu", "comm", "layout"} == EVENT_NAMES


def test_the_type_has_a_span_without_the_space_around_it() -> None:
    (capture,) = bp.kprobe("f", x="a :  u32 ").spec.captures
    assert capture.type is not None
    assert capture.type.span.text == "u32"
