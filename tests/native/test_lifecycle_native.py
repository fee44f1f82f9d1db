"""How sessions end, and what their ledger says, on a program that the test started."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import bpfprobe as bp
from tests.native.programs import Program, Worker, hot, kernel_things, needs_uprobes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = needs_uprobes

ROOT = Path(__file__).parents[2]
TRACE = [sys.executable, "-m", "bpfprobe.cli.main", "trace"]
LONG_S = 10.0
"""More than anything that should be over at once takes on a machine that is busy."""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return Program.build(tmp_path_factory.mktemp("program"))


@pytest.fixture
def worker(program: Program) -> Iterator[Worker]:
    with Worker(program) as worker:
        yield worker


class Said(Exception):
    pass


@pytest.mark.parametrize("error", [Said, KeyboardInterrupt, SystemExit])
def test_what_a_callback_raises_comes_out_of_run(
    worker: Worker, error: type[BaseException]
) -> None:
    probe = hot(worker)
    session = bp.Session(probe)
    calls = []

    @session.on(probe)
    def fail(event: Any) -> None:
        calls.append(event.n)
        if len(calls) == 5:
            raise error("the fifth")

    with session:
        worker.hot(23)
        with pytest.raises(error, match="the fifth") as caught:
            session.run()
        assert "fail" in [entry.name for entry in caught.traceback]
    assert calls == [1000 + n for n in range(5)]
    assert not worker.is_probed("hot")
    assert session.statistics() == bp.Statistics(produced=23, delivered=5, dropped=18)
    assert kernel_things() == []


def test_leaving_the_loop(worker: Worker) -> None:
    with bp.Session(hot(worker)) as session:
        worker.hot(23)
        for event in session:
            if event.n == 1006:
                break
        assert [event.n for event in session.events(max_events=2)] == [1007, 1008]
        assert session.statistics().waiting == 14
        assert worker.is_probed("hot")
    assert not worker.is_probed("hot")


def stop_from_a_thread(session: bp.Session) -> None:
    threading.Timer(0.3, session.stop).start()


def stop_from_a_handler(session: bp.Session) -> None:
    signal.signal(signal.SIGALRM, lambda _number, _frame: session.stop())
    signal.setitimer(signal.ITIMER_REAL, 0.3)


@pytest.mark.parametrize("stop_later", [stop_from_a_thread, stop_from_a_handler])
@pytest.mark.parametrize("flooded", [False, True])
def test_stop(worker: Worker, stop_later: Callable[[bp.Session], None], flooded: bool) -> None:
    with bp.Session(hot(worker)) as session:
        if flooded:
            worker.flood()
        begin = time.monotonic()
        stop_later(session)
        for _event in session:
            pass
        assert 0.2 < time.monotonic() - begin < LONG_S
        assert bool(session.statistics().delivered) is flooded


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 0), (signal.SIGTERM, 128 + signal.SIGTERM)]
)
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_signal_ends_a_trace_under_a_flood(
    worker: Worker, number: int, status: int, form: list[str]
) -> None:
    worker.flood()
    command = [*TRACE, *form, "-p", str(worker.pid), f"uprobe:{worker.program.path}:hot n=$arg1"]
    tracer = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=1 << 20
    )
    assert tracer.stdout is not None
    try:
        for _ in range(20_011):
            tracer.stdout.readline()
        began = time.monotonic()
        tracer.send_signal(number)
        _, errors = tracer.communicate(timeout=60)
        took = time.monotonic() - began
    finally:
        tracer.kill()
    assert (tracer.returncode, b"Traceback" in errors) == (status, False)
    assert took < LONG_S
    assert not worker.is_probed("hot")
    delivered, produced = map(int, re.findall(rb"(\d+) of (\d+) events", errors)[0])
    others = sum(map(int, re.findall(rb"(\d+) (?:lost|dropped)", errors)))
    assert delivered >= 20_010
    assert produced == delivered + others


def test_head_ends_a_trace_under_a_flood(worker: Worker) -> None:
    worker.flood()
    line = f"{' '.join(TRACE)} -p {worker.pid} 'uprobe:{worker.program.path}:hot n=$arg1'"
    done = subprocess.run(
        ["bash", "-c", f"{line} | head -n 2; exit ${{PIPESTATUS[0]}}"],
        cwd=ROOT, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout.count(b"\n")) == (0, 2)
    assert b"Traceback" not in done.stderr
    assert b"Exception" not in done.stderr


@pytest.mark.parametrize("transport", ["ring", "perf"])
def test_a_burst_and_then_silence(worker: Worker, transport: str) -> None:
    session = bp.Session(hot(worker), transport=transport, buffer_bytes=1)
    with session:
        worker.hot(3001)
        silent = session.statistics()
        events = list(session.events(duration=0))
        drained = session.statistics()
    assert silent.produced == 3001
    assert silent.delivered == 0
    assert silent.lost + silent.waiting == 3001
    assert 0 < len(events) == silent.waiting < 3001
    assert drained == bp.Statistics(produced=3001, delivered=len(events), lost=silent.lost)
    assert session.statistics() == drained


@pytest.mark.parametrize("transport", ["ring", "perf"])
def test_a_callback_that_is_too_slow(worker: Worker, transport: str) -> None:
    probe = hot(worker)
    session = bp.Session(probe, transport=transport, buffer_bytes=1)
    seen = []

    @session.on(probe)
    def slow(event: Any) -> None:
        seen.append(event.n)
        time.sleep(0.001)

    with session:
        for _ in range(7):
            worker.hot(1009)
            session.run(max_events=11)
        during = session.statistics()
    final = session.statistics()
    assert during.delivered == len(seen) == 77
    assert during.produced == final.produced == 7 * 1009
    assert during.lost > 0
    assert during.produced == during.delivered + during.lost + during.waiting
    assert final.dropped == during.waiting > 0
    assert (final.lost, final.waiting) == (during.lost, 0)


def test_sigterm_belongs_to_who_took_it_first(worker: Worker) -> None:
    caught = []
    old = signal.signal(signal.SIGTERM, lambda number, _frame: caught.append(number))
    try:
        with bp.Session(hot(worker)):
            os.kill(os.getpid(), signal.SIGTERM)
        assert caught == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, old)
    with pytest.raises(SystemExit), bp.Session(hot(worker)):
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == old
    assert not worker.is_probed("hot")
