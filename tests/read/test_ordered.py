"""Events by their times: sorted within the window, delivered in any case, what was late counted."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

import pytest

import bpfprobe as bp
from bpfprobe.read import ordered
from bpfprobe.testing import FakeEngine, pack_counters, pack_record
from tests.sample_machine import MACHINE

LONG_S = 60.0


class Bench:
    def __init__(self, **options: Any) -> None:
        self.engine = FakeEngine()
        self.probe = bp.kprobe("vfs_read", n="count:u64")
        self.session = bp.Session(
            self.probe, target=MACHINE, engine=self.engine, ordered=True, **options
        )
        self.sent = 0

    def send(self, *times: int) -> None:
        layout = self.session.event_type(self.probe).layout
        for at in times:
            self.engine.push(pack_record(layout, time=at, n=at))
        self.sent += len(times)
        self.engine.counters["counters", 0] = [pack_counters(produced=self.sent)]


def shuffled(count: int, end_ns: int) -> list[int]:
    times = list(range(end_ns - 1000 * count, end_ns, 1000))
    random.Random(count).shuffle(times)
    return times


def test_the_end_of_the_time_holds_nothing_back() -> None:
    bench = Bench(window_s=LONG_S)
    with bench.session as session:
        times = shuffled(10_007, time.monotonic_ns())
        bench.send(*times)
        assert [event.time for event in session.events(duration=0)] == sorted(times)
    assert session.statistics() == bp.Statistics(produced=10_007, delivered=10_007)


def test_events_go_when_they_are_older_than_the_window() -> None:
    bench = Bench(window_s=0.05, latency_s=0.01)
    with bench.session as session:
        times = shuffled(1009, time.monotonic_ns())
        bench.send(*times)
        assert [event.time for event in session.events(max_events=1009)] == sorted(times)
        assert time.monotonic_ns() - max(times) >= 0.05e9
        assert session.statistics().late == 0


def test_a_young_event_is_held_back_and_waits() -> None:
    bench = Bench(window_s=LONG_S)
    now = time.monotonic_ns()
    with bench.session as session:
        bench.send(now, now - int(2 * LONG_S * 1e9))
        first = next(iter(session))
        assert first.time < now
        assert (session.statistics().delivered, session.statistics().waiting) == (1, 1)
        assert [event.time for event in session.events(duration=0)] == [now]


def test_what_comes_too_late_is_delivered_and_counted() -> None:
    bench = Bench(window_s=0.001)
    with bench.session as session:
        bench.send(5, 4, 9)
        assert [event.time for event in session.events(duration=0)] == [4, 5, 9]
        bench.send(12, 7, 8, 9)
        assert [event.time for event in session.events(max_events=1)] == [7]
        assert (session.statistics().late, session.statistics().waiting) == (2, 3)
        assert [event.time for event in session.events(duration=0)] == [8, 9, 12]
    assert session.statistics() == bp.Statistics(produced=7, delivered=7, late=2)
    assert "2 too late to be in order" in str(session.statistics())


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ordered, "MOST_HELD", 64)
    monkeypatch.setattr(ordered, "PASS_RECORDS", 16)
    bench = Bench(window_s=LONG_S)
    now = time.monotonic_ns()
    with bench.session as session:
        bench.send(*range(now, now + 101))
        events = iter(session)
        assert [next(events).time for _ in range(32)] == list(range(now, now + 32))
        assert session.statistics().waiting == 69
        assert len([*session.events(duration=0)]) == 69


def test_callbacks_and_asyncio() -> None:
    async def collect(bench: Bench) -> list[int]:
        seen = []
        async with bench.session as session:
            bench.send(*times)
            async for event in session:
                seen.append(event.time)
                if len(seen) == len(times):
                    break
        return seen

    times = shuffled(997, time.monotonic_ns() - 10**9)
    assert asyncio.run(collect(Bench())) == sorted(times)
    bench, seen = Bench(), list[int]()
    bench.session.on(bench.probe)(lambda event: seen.append(event.time))
    with bench.session as session:
        bench.send(*times)
        session.run(duration=0)
    assert seen == sorted(times)


def test_what_has_no_meaning() -> None:
    with pytest.raises(bp.OptionError, match="window_s"):
        Bench(window_s=-1)
    bench = Bench()
    with bench.session as session, pytest.raises(bp.SessionError, match="to be ordered"):
        session.batches()
