"""A keyword that is nearly an option is refused, and not taken for a capture."""

from __future__ import annotations

from typing import Any

import pytest

import bpfprobe as bp
from bpfprobe.testing import FakeEngine
from tests.sample_machine import MACHINE, as_spec

KERNEL = (bp.kprobe, bp.kretprobe)
EVERY = [
    *((make, ("vfs_read",)) for make in KERNEL),
    (bp.uprobe, ("c", "malloc")),
    (bp.uretprobe, ("c", "malloc")),
    (bp.usdt, ("python3", "python:gc__start")),
    (bp.tracepoint, ("sched:sched_switch",)),
    (bp.syscall, ("openat",)),
]
SLIPS = [
    ("filtr", "pid == 3", "filter"),
    ("fliter", "pid == 3", "filter"),
    ("Filter", "pid == 3", "filter"),
    ("filters", "pid == 3", "filter"),
    ("evnt", "name", "event"),
    ("events", "$arg1", "event"),
    ("capture", {"x": "$arg1"}, "captures"),
    ("cmom", False, "comm"),
    ("string_byte", 64, "string_bytes"),
    ("stringbytes", "64", "string_bytes"),
    ("strng_byte", 64, "string_bytes"),
]
OF_PROGRAMS = [
    ("pdi", "3", "pid"),
    ("pidd", "3", "pid"),
    ("forse", True, "force"),
    ("ofset", 0x10, "offset"),
    ("adress", 0x10, "address"),
]


def refusal(make: Any, place: tuple[str, ...], name: str, value: object) -> bp.SpecError:
    with pytest.raises(bp.SpecError) as caught:
        make(*place, **{name: value})
    return caught.value


@pytest.mark.parametrize(("make", "place"), EVERY)
@pytest.mark.parametrize(("name", "value", "option"), SLIPS)
def test_every_constructor_refuses_it(
    make: Any, place: tuple[str, ...], name: str, value: object, option: str
) -> None:
    error = refusal(make, place, name, value)
    assert error.code == "UNKNOWN_OPTION"
    assert f"did you mean {option}=?" in (error.hint or "")
    assert f"captures={{{name!r}: {value!r}}}" in (error.hint or "")


@pytest.mark.parametrize("make", [bp.uprobe, bp.uretprobe])
@pytest.mark.parametrize(("name", "value", "option"), OF_PROGRAMS)
def test_options_of_programs_too(make: Any, name: str, value: object, option: str) -> None:
    error = refusal(make, ("c", "malloc"), name, value)
    assert f"did you mean {option}=?" in (error.hint or "")


def test_the_whole_text() -> None:
    assert str(refusal(bp.kprobe, ("vfs_read",), "filtr", "pid == 3")) == (
        "capture: there is no option filtr, and a capture of that name is likely a slip "
        "[UNKNOWN_OPTION]\n"
        "  filtr\n"
        "  ^~~~~\n"
        "hint: did you mean filter=? A capture is called so with captures={'filtr': 'pid == 3'}"
    )


@pytest.mark.parametrize("name", ["filtr", "events", "pdi"])
def test_captures_take_any_name(name: str) -> None:
    probe = bp.uprobe("c", "malloc", captures={name: "$arg1"})
    assert [capture.name for capture in as_spec(probe).captures] == [name]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("events", "fds->events"),
        ("events", "events:u16"),
        ("offset", "iocb->ki_pos"),
        ("size", "$arg1"),
        ("fid", "$arg1"),
        ("sid", "$arg2"),
        ("files", "$arg1"),
        ("comma", "comma"),
        ("flags", "$arg1"),
        ("path", "filename:ustring"),
        ("even", "even"),
        ("common", "$arg1"),
        ("fd", "$retval"),
        ("addr", "$arg1"),
    ],
)
def test_a_capture_that_is_meant_stays_one(name: str, value: str) -> None:
    probe = bp.kretprobe("vfs_read", **{name: value})
    assert [capture.name for capture in as_spec(probe).captures] == [name]


SESSION = [
    ("transprt", "ring", "transport"),
    ("buffer_byte", 4096, "buffer_bytes"),
    ("latencys", 0.1, "latency_s"),
    ("pdi", 3, "pid"),
    ("notpid", 3, "not_pid"),
    ("orderd", True, "ordered"),
    ("folow", True, "follow"),
    ("max_place", 3, "max_places"),
]


@pytest.mark.parametrize(("name", "value", "option"), SESSION)
def test_options_of_a_session(name: str, value: Any, option: str) -> None:
    for make in (lambda **o: bp.Session(bp.kprobe("vfs_read"), target=MACHINE, **o), bp.Options):
        with pytest.raises(bp.OptionError) as caught:
            make(**{name: value})
        assert caught.value.code == "UNKNOWN_OPTION"
        assert caught.value.hint == f"did you mean {option}=?"


def test_an_option_that_is_like_none_lists_those_there_are() -> None:
    with pytest.raises(bp.OptionError) as caught:
        bp.Options(nonsense=1)  # type: ignore[call-arg]  # what a user may do
    assert "options are transport, buffer_bytes" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("name", "value", "option"), [("pdi", 3, "pid"), ("filtr", "count > 3", "filter")]
)
def test_update(name: str, value: Any, option: str) -> None:
    probe = bp.kprobe("vfs_read", filter="count > 9")
    with (
        bp.Session(probe, target=MACHINE, engine=FakeEngine(), pid=1) as session,
        pytest.raises(bp.OptionError, match=f"did you mean {option}=?"),
    ):
        session.update(**{name: value})
