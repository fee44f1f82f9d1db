from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import bpfprobe as bp
from bpfprobe.deliver.decode import Decoder
from bpfprobe.errors import CompileError, DecodeError
from bpfprobe.testing import FakeEngine, pack_counters, pack_record
from tests.sample_machine import FACTS, MACHINE, NO, machine

READS = bp.kprobe("vfs_read", n="count:u64", name="+0(buf):ustring")
RETURNS = bp.kretprobe("vfs_write", event="writes", n="count:u64")


class Bench:
    """A session on fakes, and a kernel that counts what it sends."""

    def __init__(self, *probes: bp.Probe, **options: Any) -> None:
        self.engine = FakeEngine()
        self.probes = probes or (READS,)
        self.session = bp.Session(*self.probes, target=MACHINE, engine=self.engine, **options)
        self.counts: list[dict[str, int]] = [{} for _ in self.probes]

    def count(self, probe: int = 0, **more: int) -> None:
        for name, number in more.items():
            self.counts[probe][name] = self.counts[probe].get(name, 0) + number
        self.engine.counters["counters", probe] = [pack_counters(**self.counts[probe])]

    def send(self, *numbers: int, probe: int = 0, **values: Any) -> None:
        layout = self.session.event_type(self.probes[probe]).layout
        for number in numbers:
            given = {"name": "x"} | values if layout.name == "vfs_read" else values
            self.engine.push(pack_record(layout, probe=probe, n=number, **given))
        self.count(probe, produced=len(numbers))


@pytest.fixture
def bench() -> Bench:
    return Bench()


def balanced(statistics: bp.Statistics) -> bool:
    s = statistics
    return s.produced == s.delivered + s.lost + s.dropped + s.waiting


def test_iterate(bench: Bench) -> None:
    with bench.session as session:
        assert [str(site) for site in bench.engine.attached] == ["kprobe:vfs_read"]
        bench.send(1, 2, 3)
        assert [event.n for event in session.events(duration=0.01)] == [1, 2, 3]
        assert type(next(iter(_more(bench, 4)))) is session.event_type(READS)
    assert bench.engine.is_idle


def _more(bench: Bench, *numbers: int) -> bp.Session:
    bench.send(*numbers)
    return bench.session


def test_callbacks_of_several_probes_in_order_of_arrival() -> None:
    bench = Bench(READS, RETURNS)
    seen: list[tuple[str, int]] = []

    @bench.session.on(READS)
    def read(event: bp.Event) -> None:
        seen.append(("read", event.n))

    @bench.session.on(RETURNS)
    def wrote(event: bp.Event) -> None:
        seen.append(("write", event.n))

    with bench.session:
        bench.send(1)
        bench.send(2, probe=1)
        bench.send(3)
        statistics = bench.session.run(duration=0.01)
    assert seen == [("read", 1), ("write", 2), ("read", 3)]
    assert statistics.delivered == 3
    assert read.__name__ == "read", "a decorated function stays what it is"


def test_run_opens_and_closes(bench: Bench) -> None:
    seen: list[int] = []
    bench.session.on(READS)(lambda event: seen.append(event.n))
    layout = bp.Session(READS, target=MACHINE, engine=FakeEngine())
    with layout:
        records = [pack_record(layout.event_type(READS).layout, n=n) for n in (5, 6, 7)]
    bench.engine.push(*records)
    bench.count(produced=4)
    statistics = bench.session.run(max_events=2)
    assert seen == [5, 6]
    assert bench.engine.is_idle
    assert (statistics.delivered, statistics.dropped, statistics.waiting) == (2, 2, 0)
    assert balanced(statistics)
    assert statistics == bench.session.statistics()


def test_max_events_leaves_the_rest_for_later(bench: Bench) -> None:
    with bench.session as session:
        bench.send(*range(10))
        assert [event.n for event in session.events(max_events=3)] == [0, 1, 2]
        assert [event.n for event in session.events(max_events=0)] == []
        assert session.statistics().waiting == 7
        assert [event.n for event in session.events(duration=0)] == [3, 4, 5, 6, 7, 8, 9]
        assert session.statistics().waiting == 0


def test_stop_in_a_callback_keeps_the_session_open(bench: Bench) -> None:
    seen: list[int] = []

    @bench.session.on(READS)
    def read(event: bp.Event) -> None:
        seen.append(event.n)
        bench.session.stop()

    with bench.session as session:
        bench.send(1, 2, 3)
        session.run()
        assert seen == [1]
        assert bench.engine.attached
        session.run()
        assert seen == [1, 2]
    bench.session.stop()


def test_closing_in_the_middle_ends_the_iteration(bench: Bench) -> None:
    with bench.session as session:
        bench.send(1, 2, 3)
        seen = []
        for event in session:
            seen.append(event.n)
            session.close()
    assert seen == [1]
    assert session.statistics().dropped == 2
    assert bench.engine.is_idle


class OurError(Exception):
    pass


@pytest.mark.parametrize("failure", [OurError, KeyboardInterrupt, SystemExit])
def test_what_a_callback_raises_comes_out_and_nothing_stays(
    bench: Bench, failure: type[BaseException]
) -> None:
    @bench.session.on(READS)
    def read(event: bp.Event) -> None:
        if event.n == 2:
            raise failure

    def go() -> None:
        with bench.session:
            bench.send(1, 2, 3)
            bench.session.run()

    with pytest.raises(failure):
        go()
    assert bench.engine.is_idle
    statistics = bench.session.statistics()
    assert (statistics.delivered, statistics.dropped) == (2, 1)
    assert balanced(statistics)


@pytest.mark.parametrize(
    ("refused", "attached_before"),
    [("kretprobe:vfs_write", 1), ("kprobe:vfs_write", 2), ("kprobe:vfs_read", 0)],
)
def test_a_refused_probe_undoes_those_before_it(refused: str, attached_before: int) -> None:
    bench = Bench(READS, RETURNS)
    bench.engine.refuse(refused, errno.EINVAL)
    closed: list[str] = []
    attach = bench.engine.attach

    def watched(program_fd: int, site: Any) -> Any:
        link = attach(program_fd, site)
        close = link.close
        link_type = type(link)

        class Watched(link_type):  # type: ignore[misc, valid-type]
            def close(self) -> None:
                closed.append(str(site))
                close()

        return Watched(program_fd, site)

    bench.engine.attach = watched  # type: ignore[method-assign]
    with pytest.raises(bp.AttachError):
        bench.session.open()
    assert closed == [str(link.site) for link in reversed(bench.engine.links)]
    assert len(closed) == attached_before
    assert bench.engine.is_idle
    with pytest.raises(bp.SessionError):
        next(iter(bench.session))


@pytest.mark.parametrize("method", ["compile", "create_map", "load", "open_ring"])
def test_a_failure_before_anything_is_attached(bench: Bench, method: str) -> None:
    bench.engine.fail(method, CompileError("no", source="", log=""))
    with pytest.raises(CompileError):
        bench.session.open()
    assert bench.engine.is_idle
    assert bench.engine.links == []


def test_a_return_is_attached_before_its_entry() -> None:
    bench = Bench(RETURNS)
    with bench.session:
        assert [str(s) for s in bench.engine.attached] == [
            "kretprobe:vfs_write",
            "kprobe:vfs_write",
        ]


def test_the_ledger_balances_in_every_state(bench: Bench) -> None:
    session = bench.session
    assert session.statistics() == bp.Statistics()
    with session:
        assert balanced(session.statistics())
        bench.send(*range(7))
        bench.count(produced=3, lost=3)
        now = session.statistics()
        assert (now.produced, now.waiting, now.lost, now.delivered) == (10, 7, 3, 0)
        assert balanced(now)
        for _ in session.events(max_events=4):
            assert balanced(session.statistics())
        assert session.statistics().waiting == 3
        assert not session.statistics().complete
    final = session.statistics()
    assert (final.produced, final.delivered, final.lost, final.dropped) == (10, 4, 3, 3)
    assert final.waiting == 0
    assert balanced(final)
    assert "4 of 10 events delivered" in str(final)
    assert "3 lost in a full buffer" in str(final)


def test_the_ledger_adds_up_over_cpus_and_probes() -> None:
    bench = Bench(READS, RETURNS)
    with bench.session as session:
        bench.engine.counters["counters", 0] = [pack_counters(produced=2, lost=2)] * 2
        bench.engine.counters["counters", 1] = [
            pack_counters(produced=1, lost=1, entries=9, refused=4, unmatched=2, inflight_full=1)
        ]
        bench.engine.links[0].misses = 3
        now = session.statistics()
    assert (now.produced, now.lost, now.unmatched) == (5, 5, 2)
    assert now.missed >= 4
    assert now.in_flight == 4
    assert balanced(now)


def test_what_comes_while_it_is_counted_is_waiting(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another thread may ask."""
    with bench.session as session:
        events = iter(session)
        read = bench.engine.read_percpu

        def slowly(*asked: int) -> list[bytes]:
            counted = read(*asked)
            bench.send(2)
            next(events)
            return counted

        bench.send(1)
        monkeypatch.setattr(bench.engine, "read_percpu", slowly)
        statistics = session.statistics()
        monkeypatch.undo()
        assert (statistics.delivered, statistics.waiting) == (0, 1)
        assert session.statistics().delivered == 1


def test_faults_and_cuts_are_counted(bench: Bench) -> None:
    with bench.session as session:
        bench.send(1, name=None)
        bench.send(2, 3, truncated=["name"])
        list(session.events(duration=0))
    assert (session.statistics().faults, session.statistics().truncated) == (1, 2)


def test_closing_twice_and_using_what_is_closed(bench: Bench) -> None:
    bench.session.close()
    bench.session.open()
    bench.session.close()
    bench.session.close()
    with pytest.raises(bp.SessionError, match="has been opened before"):
        bench.session.open()
    with pytest.raises(bp.SessionError, match="not open"):
        next(iter(bench.session))
    with pytest.raises(bp.SessionError):
        bench.session.on(READS)(print) and bench.session.run()
    assert bench.session.event_type(READS).probe == "vfs_read"


def test_opening_twice(bench: Bench) -> None:
    with bench.session, pytest.raises(bp.SessionError, match="opened before"):
        bench.session.open()
    assert bench.engine.is_idle


def test_what_has_no_meaning(bench: Bench) -> None:
    with pytest.raises(bp.SessionError, match="needs a probe"):
        bp.Session(target=MACHINE)
    with pytest.raises(bp.SessionError, match="not a probe of this session"):
        bench.session.on(RETURNS)
    with pytest.raises(bp.SessionError, match="vfs_read has no callback"):
        bench.session.run()
    assert bench.engine.links == [], "nothing is attached for a run that cannot be"
    with pytest.raises(bp.SessionError, match="has not been opened"):
        bench.session.event_type(READS)
    with pytest.raises(bp.OptionError, match="no option nonsense"):
        bp.Session(READS, target=MACHINE, nonsense=1)
    with pytest.raises(bp.OptionError):
        bp.Session(READS, target=MACHINE, latency_s=0)


def test_a_machine_that_cannot_is_told_before_anything_is_compiled() -> None:
    engine = FakeEngine()
    target = machine(replace(FACTS, kprobes=NO))
    session = bp.Session(READS, target=target, engine=engine)
    with pytest.raises(bp.AttachError) as caught:
        session.open()
    assert caught.value.code == "NO_KPROBES"
    assert "bpfprobe lab" in str(caught.value)
    assert engine.sources == []


def test_perf_buffers(bench: Bench) -> None:
    bench = Bench(transport="perf")
    with bench.session as session:
        bench.send(1, 2)
        assert [event.n for event in session.events(duration=0)] == [1, 2]
    assert bench.engine.is_idle


def test_a_record_of_no_probe_or_no_length(bench: Bench) -> None:
    with bench.session as session:
        bench.engine.push(b"\x07\x00" + bytes(100))
        with pytest.raises(DecodeError, match="probe 7"):
            next(iter(session))
        bench.engine.push(b"\x00\x00")
        with pytest.raises(DecodeError, match="has 2 bytes"):
            next(iter(session))
        bench.send(5)
        assert next(iter(session)).n == 5
    assert bench.engine.is_idle


def test_the_idle_action_runs_between_batches(bench: Bench) -> None:
    calls: list[int] = []
    with bench.session as session:
        session.on_idle(lambda: calls.append(1))
        bench.send(1)
        list(session.events(duration=0.05))
    assert calls


def test_sigterm_handlers_of_the_program_are_left_alone(bench: Bench) -> None:
    def own(number: int, frame: object) -> None:
        pass

    old = signal.signal(signal.SIGTERM, own)
    try:
        with bench.session:
            assert signal.getsignal(signal.SIGTERM) is own
        assert signal.getsignal(signal.SIGTERM) is own
    finally:
        signal.signal(signal.SIGTERM, old)


def test_sigterm_is_restored(bench: Bench) -> None:
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    with bench.session:
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_an_iteration_and_nothing_is_dropped(bench: Bench, number: int) -> None:
    before = signal.getsignal(signal.SIGINT)
    with bench.session as session, session.until_interrupted() as signals:
        bench.send(2, 3, 5)
        seen = []
        for event in session:
            seen.append(event.n)
            if event.n == 2:
                os.kill(os.getpid(), number)
                bench.send(7)
    assert (seen, signals) == ([2, 3, 5, 7], [number])
    assert session.statistics().complete
    assert signal.getsignal(signal.SIGINT) is before
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.parametrize(
    ("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]
)
def test_a_second_interrupt_is_the_usual_one(
    bench: Bench, number: int, error: type[BaseException]
) -> None:
    with bench.session as session, session.until_interrupted() as signals:
        os.kill(os.getpid(), number)
        assert list(session) == []
        with pytest.raises(error):
            os.kill(os.getpid(), number)
    assert signals == [number]


def test_an_interrupt_ends_a_program_that_hangs(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bpfprobe.signals.PATIENCE_S", 0.1)
    readable, writable = os.pipe()
    try:
        with bench.session as session, session.until_interrupted() as signals:
            os.kill(os.getpid(), signal.SIGINT)
            with pytest.raises(KeyboardInterrupt):
                os.read(readable, 1)
        assert signals == [signal.SIGINT]
    finally:
        os.close(readable)
        os.close(writable)


def test_a_signal_that_is_ignored_stays_ignored(bench: Bench) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with bench.session as session, session.until_interrupted() as signals:
            bench.send(2, 3)
            os.kill(os.getpid(), signal.SIGINT)
            assert [event.n for event in session.events(max_events=2)] == [2, 3]
        assert signals == []
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_interrupts_are_for_the_main_thread(bench: Bench) -> None:
    caught: list[str] = []

    def go() -> None:
        try:
            with bench.session as session, session.until_interrupted():
                pass
        except bp.SessionError as error:
            caught.append(str(error))

    thread = threading.Thread(target=go)
    thread.start()
    thread.join()
    assert caught == [
        "signals can be handled in the main thread only [SESSION]\nhint: session.stop(drain=True)"
    ]
    assert bench.engine.is_idle


def test_it_is_closed_in_any_thread(bench: Bench) -> None:
    before = signal.getsignal(signal.SIGTERM)
    raised: list[BaseException] = []

    def close() -> None:
        try:
            bench.session.close()
        except BaseException as error:
            raised.append(error)

    try:
        with bench.session as session:
            bench.send(1, 2)
            closing = threading.Thread(target=close)
            for event in session:
                if event.n == 1:
                    closing.start()
                    closing.join()
        assert raised == []
        assert bench.engine.is_idle
        assert session.statistics().delivered == 1
    finally:
        signal.signal(signal.SIGTERM, before)


def test_closing_waits_for_a_look_into_the_buffer(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its memory is gone then."""
    closing = threading.Thread(target=bench.session.close)
    events, seen = Decoder.events, list[bool]()

    def slowly(decoder: Decoder, chunk: Any) -> Any:
        closing.start()
        closing.join(0.05)  # it must not end
        seen.append(bench.engine.record_sources[0].is_open)
        return events(decoder, chunk)

    monkeypatch.setattr(Decoder, "events", slowly)
    before = signal.getsignal(signal.SIGTERM)
    try:
        with bench.session as session:
            bench.send(1)
            assert list(session) == []
            closing.join()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert seen == [True]
    assert bench.engine.is_idle
    assert balanced(session.statistics())


def test_a_forked_child_closes_what_is_not_there(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with bench.session as session:
        session._owner = os.getppid()
        monkeypatch.delattr(FakeEngine, "read_percpu")
    assert bench.engine.is_idle
    assert session.statistics() == bp.Statistics()


def test_an_interrupt_while_it_is_opened_leaves_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bpfprobe.session.exit_on_sigterm", interrupt)
    with pytest.raises(KeyboardInterrupt):
        bench.session.open()
    assert bench.engine.is_idle


def test_in_another_thread_signals_are_not_touched(bench: Bench) -> None:
    seen: list[object] = []

    def go() -> None:
        with bench.session:
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=go)
    thread.start()
    thread.join()
    assert seen == [signal.SIG_DFL]
    assert bench.engine.is_idle


CHILD = """
    import sys
    sys.path[:0] = [{root!r}]
    from tests.test_session import Bench
    bench = Bench()
    bench.session.on(bench.probes[0])(lambda event: None)
    try:
        with bench.session:
            print("ready", flush=True)
            bench.session.run()
    finally:
        print("idle" if bench.engine.is_idle else "open", flush=True)
"""


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, -signal.SIGINT)]
)
def test_a_signal_ends_a_program_with_everything_detached(number: int, status: int) -> None:
    code = textwrap.dedent(CHILD).format(root=str(Path(__file__).parents[1]))
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        os.kill(child.pid, number)
        out, err = child.communicate(timeout=60)
    finally:
        child.kill()
        child.wait()
    assert out == "idle\n"
    assert child.returncode == status
    assert ("KeyboardInterrupt" in err) == (number == signal.SIGINT)
