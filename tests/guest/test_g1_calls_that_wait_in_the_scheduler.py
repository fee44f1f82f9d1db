"""A thread that sleeps in a function of the scheduler is in it, and its return is not missed."""

from __future__ import annotations

import subprocess
import time

import pytest

import bpfprobe as bp

pytestmark = pytest.mark.guest(kernels=["5.10", "6.1", "newest"])


def test_calls_that_wait_in_the_scheduler_are_in_flight():
    """Their functions are on no stack that the kernel shows."""
    asleep = bp.kretprobe("do_nanosleep", took="duration", filter='comm == "sleep"')
    with bp.Session(asleep) as session:
        sleepers = [subprocess.Popen(["sleep", "1000"]) for _ in range(3)]
        deadline = time.monotonic() + 30
        while (running := session.statistics()).in_flight < 3:
            assert time.monotonic() < deadline, running
            time.sleep(0.1)
    ended = session.statistics()
    for sleeper in sleepers:
        sleeper.kill()
        sleeper.wait()
    # A filter of a return is not judged before it: other sleepers are in flight as well.
    assert (running.missed, ended.missed) == (0, 0)
    assert min(running.in_flight, ended.in_flight) >= 3
