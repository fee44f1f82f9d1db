"""What nests too deep is refused for that, at the place, in every language and by every caller."""

from __future__ import annotations

import pytest

import bpfprobe as bp
from bpfprobe.errors import SpecError
from bpfprobe.pipeline import describe, spec_of
from tests.sample_machine import MACHINE

DEEP = {
    "fetch": lambda n: "p:x vfs_read a=" + "+0(" * n + "$arg1" + ")" * n,
    "fetch with offsets": lambda n: "p:x vfs_read a=" + "-8(" * n + "%di" + ")" * n,
    "fetch of ours": lambda n: "kprobe:vfs_read a=" + "+0(" * n + "$arg1" + ")" * n,
    "fetch of a type": lambda n: "p:x vfs_read a=" + "+0(" * n + "$arg1" + ")" * n + ":u32",
    "brackets": lambda n: "kprobe:vfs_read a=" + "(" * n + "count" + ")" * n,
    "signs": lambda n: "kprobe:vfs_read a=" + "-" * n + "count",
    "casts": lambda n: "kprobe:vfs_read a=" + "(u8)" * n + "count",
    "struct casts": lambda n: "kprobe:vfs_read a=" + "((struct file *)" * n + "file" + ")" * n,
    "entry": lambda n: "kretprobe:vfs_read a=" + "entry(" * n + "count" + ")" * n,
    "filter": lambda n: "kprobe:vfs_read if " + "(" * n + "count > 1" + ")" * n,
    "filter, not": lambda n: "kprobe:vfs_read if " + "!" * n + "count",
    "trace(8)": lambda n: "p::vfs_read " + "(" * n + "arg1 > 1" + ")" * n + ' "%d", arg1',
    "trace(8), not": lambda n: "p::vfs_read (" + "!" * n + 'arg1) "%d", arg1',
    "trace(8), value": lambda n: 'p::vfs_read "%d", ' + "(" * n + "arg1" + ")" * n,
}
deep = pytest.mark.parametrize("make", DEEP.values(), ids=DEEP)


def refusal(text: str) -> SpecError:
    with pytest.raises(SpecError) as caught:
        describe([spec_of(bp.probe(text))], MACHINE)
    return caught.value


@deep
@pytest.mark.parametrize("count", [70, 200])
def test_what_nests_too_deep_is_said_at_its_place(make: object, count: int) -> None:
    text = make(count)  # type: ignore[operator]
    (diagnostic,) = refusal(text).diagnostics
    assert diagnostic.code == "TOO_MANY_NESTED"
    assert "deep" in diagnostic.message
    assert diagnostic.span is not None
    assert 15 < diagnostic.span.start < len(text)
    assert diagnostic.span.end - diagnostic.span.start < 8


@deep
def test_what_people_write_is_taken(make: object) -> None:
    describe([spec_of(bp.probe(make(7)))], MACHINE)  # type: ignore[operator]


@deep
def test_text_without_an_end_is_too_long(make: object) -> None:
    assert refusal(make(20_000)).code == "ARG_TOO_LONG"  # type: ignore[operator]


def test_a_caller_that_has_used_up_the_stack() -> None:
    """Its limit is Python's, which is no traceback of ours."""

    def below(frames: int) -> str:
        if frames:
            return below(frames - 1)
        try:
            bp.probe("kprobe:vfs_read a=" + "(" * 25 + "count" + ")" * 25).spec  # noqa: B018
        except SpecError as error:
            return error.code
        return ""

    assert {below(frames) for frames in range(100, 620, 40)} <= {"", "TOO_MANY_NESTED"}
    assert below(560) == "TOO_MANY_NESTED"


def test_a_pattern_of_many_brackets_is_no_more_than_a_name() -> None:
    assert refusal("uprobe:bash:f" + "(" * 500 + ")" * 500).code == "BAD_PROBE_ADDR"
