"""The ledger holds: what the kernel counted is what was delivered, or is named as lost or missed.

The workload is the test's own process, which knows how often it called.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

import bpfprobe as bp

pytestmark = pytest.mark.guest(shares=True)
CPUS = (0, 1)  # the last CPU is the one that tracers forget
BURST = 3001
TRANSPORTS = ("ring", "perf")


def call(times, cpu):
    """A system call that nothing else in the process makes."""
    os.sched_setaffinity(0, {cpu})
    for _ in range(times):
        os.getpgid(0)


def getpgid(**values):
    return bp.kprobe("__x64_sys_getpgid", **values)


def drain(session):
    return list(session.events(duration=0))


def when(session, holds):
    """The statistics as soon as that can be said of them."""
    deadline = time.monotonic() + 3
    while not holds(seen := session.statistics()):
        assert time.monotonic() < deadline, seen
    return seen


def online(cpu, state):
    Path(f"/sys/devices/system/cpu/cpu{cpu}/online").write_text(str(int(state)))


def balanced(statistics):
    return statistics.produced == (
        statistics.delivered + statistics.lost + statistics.dropped + statistics.waiting
    )


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_burst_and_then_silence(transport):
    assert os.cpu_count() == len(CPUS)
    probe = getpgid(at="time")
    produced = 0
    with bp.Session(probe, pid=os.getpid(), transport=transport, buffer_bytes=1) as session:
        for cpu in CPUS:
            before = session.statistics()
            call(BURST, cpu)
            produced += BURST
            silent = session.statistics()  # nothing has been read, and no more is called
            assert (silent.produced, silent.delivered) == (produced, before.delivered)
            assert balanced(silent)
            assert silent.lost > before.lost
            events = drain(session)
            assert 0 < len(events) < BURST
            assert {event.cpu for event in events} == {cpu}
            drained = session.statistics()
            assert drained.waiting == 0
            assert drained.delivered + drained.lost == produced
        call(23, cpu)  # left in the buffer
        assert session.statistics().waiting == 23
    final = session.statistics()
    assert (final.dropped, final.waiting, final.produced) == (23, 0, produced + 23)
    assert balanced(final)
    assert not final.complete


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("watched", [True, False])
def test_a_cpu_that_goes_and_comes_back(transport, watched):
    """``watched``: events are read while the CPU is away; else the reader sleeps through it."""
    with bp.Session(getpgid(), pid=os.getpid(), transport=transport) as session:
        events = []
        for first, other in ((7, 5), (11, 3)):
            call(first, 1)
            os.sched_setaffinity(0, {0})
            online(1, False)
            call(other, 0)
            if watched:
                events += session.events(duration=0.3)
            online(1, True)
            if watched:
                events += session.events(duration=0.3)
            call(first, 1)
        events += session.events(duration=0.3)
        call(23, 1)
        back = drain(session)
        events += back
        statistics = session.statistics()
    assert statistics.produced == 2 * (7 + 11) + 5 + 3 + 23
    assert statistics.delivered == len(events)
    assert statistics.delivered + statistics.lost == statistics.produced
    assert len(back) == 23  # by now the CPU is known to be back
    if watched or transport == "ring":
        assert statistics.lost == 0


def test_returns_without_a_slot_are_missed():
    """61 threads sleep in a function whose returns the kernel can follow for a few at a time."""
    sleepers = 61
    probe = bp.kretprobe("hrtimer_nanosleep", took="duration", result="$retval:s64")
    inside = threading.Barrier(sleepers + 1)

    def sleep():
        inside.wait()
        time.sleep(4)

    with bp.Session(probe, pid=os.getpid()) as session:
        threads = [threading.Thread(target=sleep) for _ in range(sleepers)]
        for thread in threads:
            thread.start()
        inside.wait()
        asleep = when(session, lambda seen: seen.in_flight + seen.missed == sleepers)
        for thread in threads:
            thread.join()
        events = drain(session)
        ended = when(session, lambda seen: seen.in_flight == 0)  # join() is before the very end
    assert asleep.in_flight > 0
    assert len(events) == ended.delivered == ended.produced
    assert 0 < ended.delivered < sleepers
    assert ended.delivered + ended.missed == sleepers
    assert (ended.lost, ended.dropped) == (0, 0)
    assert session.statistics().missed == ended.missed
    assert {event.result for event in events} == {0}
    assert min(event.took for event in events) > 3_000_000_000
