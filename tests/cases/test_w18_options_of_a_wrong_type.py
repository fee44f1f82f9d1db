"""A value of a wrong type or range is refused by OptionError, which says what is wanted."""

from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import bpfprobe as bp
from bpfprobe.testing import FakeEngine
from tests.sample_machine import MACHINE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

READS = bp.kprobe("vfs_read", n="count:u64")
NOT_WHOLE = ("12", [1, 2], 1.5, True, b"1", -1, 1 << 64)
NOT_SECONDS = ("1", None, True, -1, -0.5, math.nan, [1])
NOT_TRUTH = ("yes", 1, None, 0.0)
WRONG: dict[str, tuple[tuple[object, ...], str]] = {
    "transport": (("tcp", 3, None, ["ring"]), "one of auto, ring, perf"),
    "buffer_bytes": ((*NOT_WHOLE, 0, (1 << 30) + 1), "a whole number from 1 to 1073741824"),
    "latency_s": ((*NOT_SECONDS, 0, 61, math.inf), "a number of seconds from 0.001 to 60"),
    "pid": (NOT_WHOLE, "a whole number from 0 to 4294967295"),
    "tid": (NOT_WHOLE, "a whole number from 0 to 4294967295"),
    "uid": (NOT_WHOLE, "a whole number from 0 to 4294967295"),
    "not_pid": (NOT_WHOLE, "a whole number from 0 to 4294967295"),
    "inflight": ((*NOT_WHOLE, 63, None), "a whole number from 64 to 1048576"),
    "ordered": (NOT_TRUTH, "True or False"),
    "window_s": ((*NOT_SECONDS, 61, math.inf), "a number of seconds from 0 to 60"),
    "max_places": ((*NOT_WHOLE, 0, None), "a whole number from 1 to 1048576"),
    "follow": (NOT_TRUTH, "True or False"),
}


def test_every_option_is_here() -> None:
    assert [field.name for field in fields(bp.Options)] == list(WRONG)


@pytest.mark.parametrize("name", WRONG)
def test_options_of_a_session(name: str) -> None:
    values, wanted = WRONG[name]
    for value in values:
        for make in (bp.Options, lambda **given: bp.Session(READS, **given)):
            with pytest.raises(
                bp.OptionError, match=rf"^{name}.* must be {wanted}, not "
            ) as caught:
                make(**{name: value})
            assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("make", "given", "wanted"),
    [
        (bp.probe, {"definition": b"p f"}, "definition must be a str, not bytes"),
        (bp.kprobe, {"function": 7}, "place must be a str, not int"),
        (bp.kprobe, {"function": "f", "comm": "no"}, "comm must be True or False, not 'no'"),
        (
            bp.kprobe,
            {"function": "f", "string_bytes": 80.0},
            "whole number from 2 to 16384, not 80",
        ),
        (bp.kprobe, {"function": "f", "captures": [("a", "b")]}, "captures must be a dict"),
        (bp.kprobe, {"function": "f", "captures": {"a": 7}}, "a must be a str, not int"),
        (bp.kretprobe, {"function": "f", "filter": True}, "filter must be a str, not bool"),
        (bp.uprobe, {"path": Path("x"), "sym": "f"}, "path must be a str, not PosixPath"),
        (bp.uprobe, {"path": "x", "sym": "f", "force": 1}, "force must be True or False, not 1"),
        (bp.uprobe, {"path": "x", "sym": "f", "pid": 1 << 32}, "pid must be a whole number from 0"),
        (bp.uprobe, {"path": "x", "offset": 1 << 64}, "offset must be a whole number from 0 to"),
        (bp.usdt, {"path": "x", "marker": "a:b", "pid": "7"}, "pid must be a whole number from 0"),
        (bp.usdt, {"path": "x", "marker": None}, "marker must be a str, not NoneType"),
        (bp.tracepoint, {"name": "a:b", "event": 7}, "event must be a str, not int"),
        (bp.syscall, {"name": "openat", "returns": "yes"}, "returns must be True or False"),
        (READS.of_process, {"pid": -1}, "pid must be a whole number from 0"),
    ],
)
def test_what_describes_a_probe(make: Callable[..., object], given: Any, wanted: str) -> None:
    for _ in range(2):  # nor is it kept as one that was found right
        with pytest.raises(bp.OptionError) as caught:
            make(**given)
        assert wanted in caught.value.message


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (("kprobe:vfs_read",), "not a probe but a text"),
        (([READS],), "a probe is what bp.kprobe() and its likes return, not a list"),
        ((READS, None), "a probe is what bp.kprobe() and its likes return, not a NoneType"),
    ],
)
def test_what_is_not_a_probe(given: Any, wanted: str) -> None:
    with pytest.raises(bp.OptionError) as caught:
        bp.Session(*given)
    assert wanted in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("given", [{"target": "6.1.json"}, {"engine": bp}])
def test_what_is_not_a_machine(given: Any) -> None:
    with pytest.raises(bp.OptionError, match=f"{next(iter(given))} must be a"):
        bp.Session(READS, **given)


@pytest.fixture
def session() -> Iterator[bp.Session]:
    with bp.Session(READS, target=MACHINE, engine=FakeEngine(), pid=3) as opened:
        yield opened


LIMITS: list[dict[str, object]] = [
    *({"duration": value} for value in NOT_SECONDS if value is not None),
    *({"max_events": value} for value in NOT_WHOLE[:-1]),
]


@pytest.mark.parametrize("given", LIMITS)
def test_how_long_a_run_goes(session: bp.Session, given: dict[str, Any]) -> None:
    name = next(iter(given))
    session.on(READS)(print)
    with pytest.raises(bp.OptionError, match=rf"^{name} must be a "):
        session.events(**given)
    with pytest.raises(bp.OptionError, match=rf"^{name} must be a "):
        session.run(**given)
    if name == "duration":
        with pytest.raises(bp.OptionError, match=r"^duration must be a "):
            session.batches(**given)


def test_a_run_without_end_or_without_events_is_one(session: bp.Session) -> None:
    assert list(session.events(duration=math.inf, max_events=0)) == []
    assert list(session.events(duration=0)) == []


@pytest.mark.parametrize("given", [{"limit": 0}, {"limit": 1.5}, {"copy": "no"}])
def test_batches(session: bp.Session, given: dict[str, Any]) -> None:
    with pytest.raises(bp.OptionError, match=rf"^{next(iter(given))} must be "):
        session.batches(**given)


def test_the_rest_of_a_session(session: bp.Session) -> None:
    for wrong in ("7", 1.5, True, -1):
        with pytest.raises(bp.OptionError, match=r"^pid must be a whole number"):
            session.update(pid=wrong)  # type: ignore[arg-type]  # the mistake
    with pytest.raises(bp.OptionError, match="filter must be a str"):
        session.update(filter=7)  # type: ignore[arg-type]  # the mistake
    with pytest.raises(bp.errors.SessionError, match="pid: for all probes of the session"):
        session.update(READS, pid=4)
    for register in (session.on(READS), session.on_idle, session.on_notice):
        with pytest.raises(bp.OptionError, match=r" must be a function, not 'x'"):
            register("x")  # type: ignore[arg-type]  # the mistake
    for look_up in (session.on, session.event_type):
        with pytest.raises(bp.OptionError, match="not a probe but a text"):
            look_up("vfs_read")  # type: ignore[arg-type]  # the mistake
    with pytest.raises(bp.OptionError, match="path must be a str or a Path, not a int"):
        bp.Session.from_file(7)  # type: ignore[arg-type]  # the mistake
