"""A session that is dropped without close says so, as a file does, and holds nothing any more."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import warnings
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

import bpfprobe as bp
from bpfprobe.testing import FakeEngine, pack_record
from tests.sample_machine import MACHINE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

READS = bp.kprobe("vfs_read", n="count:u64")


class Dropped:
    """Sessions on one engine, what they warned of, and whether anything stays."""

    def __init__(self) -> None:
        self.engine = FakeEngine()

    def opened(self, *probes: bp.Probe, **options: Any) -> bp.Session:
        session = bp.Session(*(probes or (READS,)), target=MACHINE, engine=self.engine, **options)
        session.open()
        return session

    def after(self, use: Callable[[bp.Session], object]) -> list[str]:
        """What is warned of once a session that was used so has gone."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            session = self.opened()
            use(session)
            gone = weakref.ref(session)
            del session
            gc.collect()
            assert gone() is None
        assert all(one.category is ResourceWarning for one in caught)
        return [str(one.message) for one in caught]


@contextmanager
def ignored_errors() -> Iterator[list[type[BaseException]]]:
    """Those that Python prints, as nothing is there that they could come out of."""
    seen: list[type[BaseException]] = []
    hooks = sys.excepthook, sys.unraisablehook
    sys.excepthook = lambda kind, error, trace: seen.append(kind)
    sys.unraisablehook = lambda found: seen.append(found.exc_type)
    try:
        yield seen
    finally:
        sys.excepthook, sys.unraisablehook = hooks


def leave_an_iterator(session: bp.Session) -> None:
    layout = session.event_type(READS).layout
    session._engine.push(pack_record(layout, n=3))  # type: ignore[union-attr]  # it is a fake
    for event in session:
        assert event.n == 3
        break


def leave_an_async_iterator(session: bp.Session) -> None:
    async def first() -> None:
        layout = session.event_type(READS).layout
        session._engine.push(pack_record(layout, n=3))  # type: ignore[union-attr]  # it is a fake
        async for event in session:
            assert event.n == 3
            break

    asyncio.run(first())


@pytest.mark.parametrize(
    "use",
    [
        lambda session: None,
        lambda session: session.statistics(),
        lambda session: session.symbols,
        leave_an_iterator,
        leave_an_async_iterator,
    ],
)
def test_it_warns_and_lets_go(use: Callable[[bp.Session], object]) -> None:
    dropped = Dropped()
    (said,) = dropped.after(use)
    assert said == (
        "unclosed session of vfs_read, whose probes were attached until now: "
        "`with Session(...) as session:` closes it, and so does session.close()"
    )
    assert dropped.engine.is_idle
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.parametrize(
    "use", [lambda session: session.close(), lambda session: (session.close(), session.close())]
)
def test_a_closed_one_says_nothing(use: Callable[[bp.Session], object]) -> None:
    assert Dropped().after(use) == []


def test_one_that_was_never_opened_or_could_not_be_says_nothing() -> None:
    engine = FakeEngine()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bp.Session(READS, target=MACHINE, engine=engine)
        with pytest.raises(bp.SpecError):
            bp.Session(bp.kprobe("nowhere"), target=MACHINE, engine=engine).open()
        gc.collect()


def test_an_error_that_the_warning_is_made_does_not_keep_it_open() -> None:
    dropped = Dropped()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        session = dropped.opened()
        with ignored_errors() as ignored:
            del session
            gc.collect()
    assert ignored == [ResourceWarning]
    assert dropped.engine.is_idle


def test_many_probes_are_counted() -> None:
    dropped = Dropped()
    probes = [bp.kprobe("vfs_read", event=f"e{n}") for n in range(5)]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        dropped.opened(*probes)
        gc.collect()
    assert "session of e0, e1, e2 and 2 more, whose" in str(caught[0].message)


def test_a_forked_child_says_nothing() -> None:
    dropped = Dropped()
    session = dropped.opened()
    child = os.fork()
    if child == 0:
        try:
            warnings.simplefilter("error")
            del session
            gc.collect()
        finally:
            os._exit(0 if not dropped.engine.is_idle else 1)
    _, status = os.waitpid(child, 0)
    session.close()
    assert os.waitstatus_to_exitcode(status) == 0
