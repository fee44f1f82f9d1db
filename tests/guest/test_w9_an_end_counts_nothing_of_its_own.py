"""Sessions that are closed under load: misses and drops are what the workload and ftrace count.

The workload hands 0, 1, 2 and so on to what is probed, so the events say how many calls there were.
``BPFPROBE_SESSIONS=50`` closes more.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import bpfprobe as bp

SESSIONS = int(os.environ.get("BPFPROBE_SESSIONS", "7"))
AT_LEAST = 23
TRACEFS = Path("/sys/kernel/tracing")
BUSY = """
import itertools, os
for n in itertools.count():
    try:
        os.getpgid(n & 0x3FFFFFFF)
    except OSError:
        pass
"""


@pytest.fixture
def busy():
    with subprocess.Popen([sys.executable, "-c", BUSY]) as process:
        yield process
        process.kill()


@pytest.fixture
def ftrace():
    """Kprobe events on the same function, which count hits and misses themselves."""
    defined = (
        "p:w9/entered __x64_sys_getpgid",
        "r:w9/left __x64_sys_getpgid",
    )
    (TRACEFS / "kprobe_events").write_text("\n".join(defined) + "\n")
    (TRACEFS / "events/w9/enable").write_text("1")
    return lambda: {
        name: (int(hits), int(missed))
        for name, hits, missed in map(
            str.split, (TRACEFS / "kprobe_profile").read_text().splitlines()
        )
    }


def probes():
    number = "+112(%di)"  # di of the registers that the wrapper is handed
    return [
        bp.kprobe("__x64_sys_getpgid", n=f"{number}:s32"),
        bp.kretprobe("__x64_sys_getpgid", n=f"entry({number}):s32", took="duration"),
        bp.tracepoint("syscalls:sys_enter_getpgid", n="pid:s32"),
        bp.uretprobe("c", "getpgid", n="$arg1:s32", got="$retval:s32"),
    ]


@pytest.mark.guest(kernels=["5.10", "6.1", "newest"], timeout_s=200 + 15 * SESSIONS)
def test_the_ledger_of_sessions_under_load(busy, ftrace):
    before = ftrace()
    for number in range(SESSIONS):
        transport = ("ring", "perf")[number % 2]
        options = {"pid": busy.pid, "transport": transport, "buffer_bytes": 4 << 20}
        with bp.Session(*probes(), **options) as session:
            events = list(itertools.islice(session, AT_LEAST * 4))
            events += session.events(duration=0, last=True)
        ended = session.statistics()
        for kind in session._delivery.types:
            numbers = sorted(event.n for event in events if type(event) is kind)
            assert len(numbers) >= 1, kind
            gaps = {later - one for one, later in itertools.pairwise(numbers)}
            assert gaps <= {1}, (kind, numbers)
        assert (ended.produced, ended.delivered) == (len(events), len(events))
        assert (ended.lost, ended.dropped, ended.missed) == (0, 0, 0), ended
        assert ended.in_flight <= 2, "one in the kernel, one in libc"
    after = ftrace()
    assert after["entered"][0] - before["entered"][0] > AT_LEAST * SESSIONS
    assert (before["entered"][1], before["left"][1]) == (after["entered"][1], after["left"][1])


def test_bpf_calls_of_the_session_itself_are_not_counted_at_the_end():
    """What is probed is how a session reads its own counters."""
    with bp.Session(bp.kretprobe("__x64_sys_bpf", took="duration"), pid=os.getpid()) as session:
        session.statistics()
        events = list(session.events(duration=0, last=True))
        left = session.statistics()
        assert session.statistics() == left
    ended = session.statistics()
    assert events
    assert (ended.produced, ended.delivered, ended.dropped) == (len(events), len(events), 0)
    assert (ended.missed, ended.in_flight) == (0, 0)


def test_misses_are_the_calls_without_an_event():
    """Threads that sleep in a function whose returns the kernel can follow for a few at a time."""
    sleepers = 61
    with bp.Session(bp.kretprobe("hrtimer_nanosleep", took="duration"), pid=os.getpid()) as session:
        threads = [threading.Thread(target=time.sleep, args=(2,)) for _ in range(sleepers)]
        late = [threading.Thread(target=time.sleep, args=(6,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for thread in late:
            thread.start()
        time.sleep(0.5)
        events = list(session.events(duration=0, last=True))
    ended = session.statistics()
    assert ended.missed > 0
    assert ended.in_flight == len(late)
    assert len(events) + ended.missed == sleepers + 1, "and this thread"
    for thread in late:
        thread.join()
