"""Names for the addresses of a session: whose, and what is said where there are none."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

import bpfprobe as bp
from bpfprobe.deliver.stack import Frame
from bpfprobe.engine import process_watch
from bpfprobe.model.symbol import Location
from bpfprobe.names import Names
from bpfprobe.testing import FakeEngine, pack_record
from tests.sample_machine import MACHINE

if TYPE_CHECKING:
    from bpfprobe.model.mapping import ProcessRecord

STACKED = bp.kprobe("vfs_read", k="kstack", u="ustack", n="$arg3")


def event_of(session: bp.Session, engine: FakeEngine, **values: object) -> bp.Event:
    layout = session.event_type(STACKED).layout
    engine.push(pack_record(layout, **{"pid": 42, "n": 5, **values}))
    return next(session.events(max_events=1))


def test_a_target_that_is_described_names_its_kernel_only() -> None:
    target, engine = MACHINE, FakeEngine()
    start = target.symbols("vfs_read")[0].address
    with bp.Session(STACKED, target=target, engine=engine) as session:
        event = event_of(session, engine, k=(start + 4, 1), u=(0x400,))
        known = session.frames(event, "k")
        assert known is not None
        assert [frame.address for frame in known] == [start + 4, 1]
        assert str(known[0]).startswith("vfs_read+0x4 [kernel]")
        assert session.frames(event, "u") == (Frame(0x400, None),)
    assert session.frames(event, "k") == known


def test_a_stack_that_could_not_be_read() -> None:
    engine = FakeEngine()
    with bp.Session(STACKED, target=MACHINE, engine=engine) as session:
        assert session.frames(event_of(session, engine, k=None, u=()), "k") is None
        assert session.frames(event_of(session, engine, k=None, u=()), "u") == ()


def test_a_field_that_is_no_stack() -> None:
    engine = FakeEngine()
    with bp.Session(STACKED, target=MACHINE, engine=engine) as session:
        with pytest.raises(bp.SessionError, match="n is no stack of vfs_read") as caught:
            session.frames(event_of(session, engine, k=(), u=()), "n")
        assert caught.value.hint == "stacks are k, u"


def test_frames_as_text_stay_on_their_line() -> None:
    assert str(Frame(7, None)) == "[unknown]"
    assert str(Frame(7, Location("a\nb", 3, 9, "/lib/x\x1b.so"))) == r"a\nb+0x3 [x\x1b.so]"


class SlowWatch:
    """A watch that is closed by another thread while it is looked into."""

    closing: threading.Thread
    taken_when_open: list[bool]

    def __init__(self) -> None:
        self.is_open = True

    def take(self) -> list[ProcessRecord]:
        if self.closing.ident is None:
            self.closing.start()
            self.closing.join(0.05)  # it must not end
        self.taken_when_open.append(self.is_open)
        return []

    def close(self) -> None:
        self.is_open = False


def test_a_watch_is_not_closed_while_it_is_looked_into(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_watch, "ProcessWatch", SlowWatch)
    names = Names()
    SlowWatch.closing, SlowWatch.taken_when_open = threading.Thread(target=names.close), []
    names.watch()
    names.listen()
    SlowWatch.closing.join()
    assert True in SlowWatch.taken_when_open
    assert False not in SlowWatch.taken_when_open
    names.close()
