from __future__ import annotations

import os
import threading
import time

import pytest

from bpfprobe.read.pump import Pump
from bpfprobe.testing.fake_engine import FakeSource

ENDLESS = 10.0


@pytest.fixture
def source() -> FakeSource:
    return FakeSource()


def records(count: int, start: int = 0) -> list[bytes]:
    return [n.to_bytes(4, "little") for n in range(start, start + count)]


def test_what_is_there_comes_in_order(source: FakeSource) -> None:
    source.push(records(10007))
    assert list(Pump(source, 0.1).records(0.01)) == records(10007)


def test_the_time_is_kept_when_nothing_comes(source: FakeSource) -> None:
    began = time.monotonic()
    assert list(Pump(source, 60).records(0.25)) == []
    assert 0.25 <= time.monotonic() - began < 2


def test_no_time_at_all_takes_what_is_there(source: FakeSource) -> None:
    source.push(records(3))
    assert list(Pump(source, 0.1).records(0)) == records(3)


def test_a_wake_up_ends_the_wait(source: FakeSource) -> None:
    pump = Pump(source, 60)
    threading.Timer(0.05, source.push, [records(1)]).start()
    began = time.monotonic()
    assert next(pump.records(ENDLESS)) == records(1)[0]
    assert time.monotonic() - began < ENDLESS / 2


class SilentSource(FakeSource):
    """One whose descriptor never says that there is something, as while few events come."""

    def filenos(self) -> tuple[int, ...]:
        return ()


def test_without_a_wake_up_the_latency_bounds_the_wait() -> None:
    source = SilentSource()
    threading.Timer(0.05, source.push, [records(1)]).start()
    began = time.monotonic()
    assert next(Pump(source, 0.02).records(ENDLESS)) == records(1)[0]
    assert time.monotonic() - began < ENDLESS / 2


def test_stop_ends_it_and_what_was_taken_stays(source: FakeSource) -> None:
    pump = Pump(source, 0.1)
    source.push(records(5))
    seen = []
    for record in pump.records():
        seen.append(record)
        if len(seen) == 2:
            pump.stop()
    assert seen == records(2)
    assert list(pump.records(0.01)) == records(3, 2)


def test_stop_from_another_thread_while_waiting(source: FakeSource) -> None:
    pump = Pump(source, 60)
    threading.Timer(0.05, pump.stop).start()
    began = time.monotonic()
    assert list(pump.records()) == []
    assert time.monotonic() - began < ENDLESS / 2


def test_a_consumer_that_is_slow_is_not_held_beyond_the_grace(
    source: FakeSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bpfprobe.read.pump.GRACE_S", 0.1)
    source.push(records(1000))
    began, seen = time.monotonic(), 0
    for _ in Pump(source, 0.1).records(0.05):
        seen += 1
        time.sleep(0.01)
    assert time.monotonic() - began < ENDLESS / 2
    assert 0 < seen < 1000


def test_leaving_early_loses_nothing(source: FakeSource) -> None:
    pump = Pump(source, 0.1)
    source.push(records(5))
    assert next(pump.records()) == records(1)[0]
    assert list(pump.records(0)) == records(4, 1)


def test_idle_is_told_when_all_has_been_handed_out(source: FakeSource) -> None:
    seen: list[str] = []
    source.push(records(2))
    for record in Pump(source, 0.01, lambda: seen.append("idle")).records(0.05):
        seen.append(record.hex())
    assert seen[:3] == ["00000000", "01000000", "idle"]


def test_a_descriptor_of_another_kind_can_be_polled_too() -> None:
    class Piped(SilentSource):
        def __init__(self) -> None:
            super().__init__()
            self.ends = os.pipe()

        def filenos(self) -> tuple[int, ...]:
            return (self.ends[0],)

    source = Piped()
    source.push(records(1))
    os.write(source.ends[1], b"x")
    assert list(Pump(source, 0.1).records(0.01)) == records(1)
    for end in source.ends:
        os.close(end)
