"""Times of day follow the clock when it is set while a trace runs, and after a suspend."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from bpfprobe.deliver import clock
from bpfprobe.deliver.clock import CurrentClock
from bpfprobe.deliver.front import Front

HOUR_NS = 3_600_000_000_000
STEP = {"clock is set on": (2 * HOUR_NS, 0), "back": (-HOUR_NS, 0), "suspend": (HOUR_NS, 0)}


@pytest.mark.parametrize(("wall_ns", "monotonic_ns"), STEP.values(), ids=STEP)
def test_a_step_is_seen(monkeypatch: pytest.MonkeyPatch, wall_ns: int, monotonic_ns: int) -> None:
    steps = {"wall": 0}
    fake = SimpleNamespace(
        time_ns=lambda: time.time_ns() + steps["wall"], monotonic_ns=time.monotonic_ns
    )
    monkeypatch.setattr(clock, "time", fake)
    current = CurrentClock()
    before_ns = current.ahead_ns
    steady = [current.ahead_ns for _ in range(23)]
    assert max(abs(ahead_ns - before_ns) for ahead_ns in steady) < HOUR_NS // 1000
    steps["wall"] = wall_ns
    assert abs(current.ahead_ns - before_ns - wall_ns) < HOUR_NS // 1000


def test_a_row_has_the_time_that_the_clock_was_set_to(monkeypatch: pytest.MonkeyPatch) -> None:
    now = {"wall": 1_000_000 * HOUR_NS}
    fake = SimpleNamespace(time_ns=lambda: now["wall"], monotonic_ns=lambda: 7)
    monkeypatch.setattr(clock, "time", fake)
    event = SimpleNamespace(time=7)
    for form in ("unix", "clock"):
        front = Front(CurrentClock(), 0, form)
        (first,) = front.members(event).values()  # type: ignore[arg-type]  # all that is asked
        now["wall"] += 2 * HOUR_NS
        (second,) = front.members(event).values()  # type: ignore[arg-type]  # as above
        assert first != second
        if form == "unix":
            assert (first, second) == (3_600_000_000, 3_600_007_200)
