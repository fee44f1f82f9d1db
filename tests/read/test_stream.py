from __future__ import annotations

import errno
import os
import select
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from bpfprobe.errors import LoadError
from bpfprobe.model.chunk import copies
from bpfprobe.read.stream import EventStream
from bpfprobe.read.supply import Arrival
from bpfprobe.testing.fake_engine import FakeSource

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bpfprobe.model.chunk import Chunk

ENDLESS = 10.0


@pytest.fixture
def source() -> FakeSource:
    return FakeSource()


def records(count: int, start: int = 0) -> list[bytes]:
    return [n.to_bytes(4, "little") for n in range(start, start + count)]


class Numbers:
    """Makes a number of each record, and marks every seventh."""

    def events(self, chunk: Chunk) -> tuple[list[Any], bool]:
        return [int.from_bytes(record, "little") for record in copies(chunk)], True

    def count_marks(self, events: Sequence[Any]) -> tuple[int, int]:
        return sum(number % 7 == 0 for number in events), 0


def stream(
    source: FakeSource, latency_s: float, idle: Callable[[], object] = lambda: None
) -> EventStream:
    decoder = Numbers()
    return EventStream(source, Arrival(source, decoder, 1 << 20), decoder, latency_s, idle)


def test_what_is_there_comes_in_order(source: FakeSource) -> None:
    source.push(records(10007))
    assert list(stream(source, 0.1).events(0.01)) == list(range(10007))


def test_the_time_is_kept_when_nothing_comes(source: FakeSource) -> None:
    began = time.monotonic()
    assert list(stream(source, 60).events(0.25)) == []
    assert 0.25 <= time.monotonic() - began < 2


def test_no_time_at_all_takes_what_is_there(source: FakeSource) -> None:
    source.push(records(3))
    assert list(stream(source, 0.1).events(0)) == list(range(3))


def test_a_wake_up_ends_the_wait(source: FakeSource) -> None:
    stream_ = stream(source, 60)
    threading.Timer(0.05, source.push, [records(1)]).start()
    began = time.monotonic()
    assert next(stream_.events(ENDLESS)) == 0
    assert time.monotonic() - began < ENDLESS / 2


class SilentSource(FakeSource):
    """One whose descriptor never says that there is something, as while few events come."""

    def filenos(self) -> tuple[int, ...]:
        return ()


def test_without_a_wake_up_the_latency_bounds_the_wait() -> None:
    source = SilentSource()
    threading.Timer(0.05, source.push, [records(1)]).start()
    began = time.monotonic()
    assert next(stream(source, 0.02).events(ENDLESS)) == 0
    assert time.monotonic() - began < ENDLESS / 2


def test_a_wait_that_cannot_be_is_ours_to_tell(
    source: FakeSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(select, "epoll", refuse)
    with pytest.raises(LoadError, match="waited for: Too many open files") as error:
        list(stream(source, 0.1).events(0.01))
    assert (error.value.code, error.value.errno) == ("WAIT", errno.EMFILE)


def test_once_closed_it_looks_no_more(source: FakeSource) -> None:
    source.push(records(3))
    reading = stream(source, 0.1)
    one, other = reading.events(), reading.events()
    assert next(one) == 0
    reading.close()
    source.close()
    for events in (one, other, reading.events(0)):
        assert list(events) == []
    assert reading.handout.delivered == 1


def test_stop_ends_it_and_what_was_taken_stays(source: FakeSource) -> None:
    stream_ = stream(source, 0.1)
    source.push(records(5))
    seen = []
    for record in stream_.events():
        seen.append(record)
        if len(seen) == 2:
            stream_.stop()
    assert seen == list(range(2))
    assert list(stream_.events(0.01)) == list(range(2, 5))


def test_drained_it_ends_when_nothing_is_left(source: FakeSource) -> None:
    stream_ = stream(source, 60)
    source.push(records(5))
    stream_.stop(drain=True)
    assert list(stream_.events()) == list(range(5))
    source.push(records(3))
    assert list(stream_.events(0.01)) == list(range(3))


def test_drained_it_leaves_what_comes_later(source: FakeSource) -> None:
    stream_ = stream(source, 60)
    source.push(records(3))
    stream_.stop(drain=True)
    seen = 0
    for _ in stream_.events():
        seen += 1
        source.push(records(1))
    assert seen == 3
    assert len(list(stream_.events(0))) == 3


def test_stop_from_another_thread_while_waiting(source: FakeSource) -> None:
    stream_ = stream(source, 60)
    threading.Timer(0.05, stream_.stop).start()
    began = time.monotonic()
    assert list(stream_.events()) == []
    assert time.monotonic() - began < ENDLESS / 2


def test_a_consumer_that_is_slow_is_not_held_beyond_the_grace(
    source: FakeSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bpfprobe.read.stream.GRACE_S", 0.1)
    source.push(records(1000))
    began, seen = time.monotonic(), 0
    for _ in stream(source, 0.1).events(0.05):
        seen += 1
        time.sleep(0.01)
    assert time.monotonic() - began < ENDLESS / 2
    assert 0 < seen < 1000


def test_a_slow_consumer_gets_all_that_is_there_when_no_time_was_given(
    source: FakeSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bpfprobe.read.stream.GRACE_S", 0.01)
    source.push(records(31))
    seen = []
    for event in stream(source, 0.1).events(0):
        seen.append(event)
        time.sleep(0.002)
    assert seen == list(range(31))


def test_leaving_early_loses_nothing(source: FakeSource) -> None:
    stream_ = stream(source, 0.1)
    source.push(records(5))
    assert next(stream_.events()) == 0
    assert list(stream_.events(0)) == list(range(1, 5))


def test_idle_is_told_when_all_has_been_handed_out(source: FakeSource) -> None:
    seen: list[Any] = []
    source.push(records(2))
    for record in stream(source, 0.01, lambda: seen.append("idle")).events(0.05):
        seen.append(record)
    assert seen[:3] == [0, 1, "idle"]


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
    assert list(stream(source, 0.1).events(0.01)) == list(range(1))
    for end in source.ends:
        os.close(end)
