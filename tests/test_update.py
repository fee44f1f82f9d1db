"""A session that is told to keep other hits: what it writes, and what it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import bpfprobe as bp
from bpfprobe.errors import LoadError, SessionError, SpecError
from bpfprobe.model.parameters import HEAD_BYTES
from bpfprobe.testing import FakeEngine
from tests.sample_machine import MACHINE, compiled

if TYPE_CHECKING:
    from collections.abc import Iterator

FILTER = 'count > 4096 && +0(buf) == "first"'
READS = bp.kprobe("vfs_read", n="count", filter=FILTER)
WRITES = bp.kprobe("vfs_write", n="count")


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def session(engine: FakeEngine) -> Iterator[bp.Session]:
    with bp.Session(READS, WRITES, target=MACHINE, engine=engine, pid=17) as session:
        yield session


def in_force(engine: FakeEngine, size: int) -> bytes:
    value = engine.values["parameters"]
    bank = HEAD_BYTES + int.from_bytes(value[:8], "little")
    return value[bank : bank + size]


def expected(filter_text: str, pid: int) -> bytes:
    probe = bp.kprobe("vfs_read", n="count", filter=filter_text)
    block = compiled(probe, WRITES, pid=pid).plan.parameters
    return b"".join(slot.data for slot in block.slots)


def test_each_update_builds_on_the_one_before(engine: FakeEngine, session: bp.Session) -> None:
    asked = (FILTER, 17)
    for change, asked in [
        ({"filter": 'count > 5 && +0(buf) == "next"'}, ('count > 5 && +0(buf) == "next"', 17)),
        ({"pid": 19}, ('count > 5 && +0(buf) == "next"', 19)),
        ({"filter": FILTER, "pid": 23}, (FILTER, 23)),
    ]:
        session.update(*[READS] * ("filter" in change), **change)  # type: ignore[arg-type]  # mypy: no TypedDict
        wanted = expected(*asked)
        assert in_force(engine, len(wanted)) == wanted
    assert len(engine.sources) == 1, "nothing was compiled again"


@pytest.mark.parametrize(
    ("text", "difference"),
    [
        ('count >= 4096 && +0(buf) == "first"', "compares with >=, the one that runs with >"),
        ('count > 4096 && +0(buf) != "first"', "one of the two has !="),
        ('count > 4096 && +0(buf) == "is much longer"', "takes 16 bytes"),
        ('count > 4096 && +0(buf) ~ "*irst"', "a glob where the one that runs has a comparison of"),
        ("count > 4096", "has a comparison of numbers where the one that runs has parts joined"),
        ('count > 4096 && +0(buf) == "first" && pid == 3', "3 parts where the one that runs has 2"),
        ('count & 3 && +0(buf) == "first"', "another value where the one that runs has a comp"),
        ('cpu > 4096 && +0(buf) == "first"', "has another value where the one that runs has ano"),
        ('count > 4096 && +8(buf) == "first"', "where the one that runs"),
    ],
)
def test_a_filter_that_needs_other_code(
    engine: FakeEngine, session: bp.Session, text: str, difference: str
) -> None:
    before = dict(engine.values)
    with pytest.raises(SessionError) as caught:
        session.update(READS, filter=text)
    assert caught.value.code == "UPDATE_SHAPE"
    assert difference in caught.value.message
    assert caught.value.hint == "open another session for it"
    assert engine.values == before
    session.update(READS, filter=FILTER.replace("4096", "7"))
    assert engine.values != before


def test_a_filter_that_is_wrong_in_itself(engine: FakeEngine, session: bp.Session) -> None:
    before = dict(engine.values)
    with pytest.raises(SpecError) as caught:
        session.update(READS, filter='count > 4096 && bfu == "first"')
    assert caught.value.diagnostics[0].span is not None
    assert caught.value.diagnostics[0].span.text == "bfu"
    assert engine.values == before


def test_what_was_not_there_at_first_cannot_be_changed(session: bp.Session) -> None:
    with pytest.raises(SessionError, match=r"opened without uid.*\[UPDATE_SHAPE\]"):
        session.update(uid=0)
    with pytest.raises(SessionError, match="the probe was opened without a filter"):
        session.update(WRITES, filter="count > 3")
    with pytest.raises(bp.OptionError):
        session.update(pid=-1)


def test_what_has_no_meaning(engine: FakeEngine, session: bp.Session) -> None:
    with pytest.raises(SessionError, match="nothing to update"):
        session.update()
    with pytest.raises(SessionError, match="several probes are open"):
        session.update(filter=FILTER)
    with pytest.raises(SessionError, match="not a probe of this session"):
        session.update(bp.kprobe("vfs_read"), filter=FILTER)
    with pytest.raises(TypeError):
        session.update(READS, filter=3)  # type: ignore[arg-type]  # what a user may do
    session.close()
    for never in (session, bp.Session(READS, target=MACHINE, engine=engine)):
        with pytest.raises(SessionError, match="not open"):
            never.update(pid=1)


def test_a_filter_that_hands_nothing_to_the_program(engine: FakeEngine) -> None:
    probe = bp.kprobe("vfs_read", n="count", filter='func == "vfs_read"')
    with bp.Session(probe, target=MACHINE, engine=engine) as session:
        before = dict(engine.values)
        session.update(filter='func != "vfs_write"')
        assert engine.values == before


def test_the_only_probe_needs_no_name(engine: FakeEngine) -> None:
    with bp.Session(READS, target=MACHINE, engine=engine) as session:
        session.update(filter='count > 1 && +0(buf) == "x"')
    assert b"x\0" in engine.values["parameters"]


def test_a_kernel_that_does_not_let_values_be_written_has_no_session(engine: FakeEngine) -> None:
    engine.fail("map_value", LoadError("no", code="MAP_WRITE"))
    with pytest.raises(LoadError), bp.Session(READS, target=MACHINE, engine=engine):
        pass
    assert engine.is_idle
