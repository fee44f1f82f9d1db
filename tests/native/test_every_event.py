"""Every event, once: numbered by the program that is probed, in batches and by callback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import bpfprobe as bp
from tests.native.programs import kernel_things, needs_uprobes

if TYPE_CHECKING:
    from collections.abc import Iterator

TRACEFS = Path("/sys/kernel/tracing/events/syscalls/sys_enter_close")
pytestmark = [
    *needs_uprobes,
    pytest.mark.skipif(not TRACEFS.exists(), reason="needs tracefs at /sys/kernel/tracing"),
]
FULL = bool(os.environ.get("BPFPROBE_ALL_EVENTS"))
"""Ten million in batches and one million by callback, in place of fewer."""
IN_BATCHES = 10_000_019 if FULL else 1_000_003
BY_CALLBACK = 1_000_003 if FULL else 200_003
ROOT = Path(__file__).parents[2]

SOURCE = r"""
#include <sys/syscall.h>
#include <unistd.h>
/* close(-1), close(-2) and so on as often as is asked for; an answer after each lot */
int main(void)
{
    long count, n = 0;
    while (read(0, &count, sizeof(count)) == sizeof(count)) {
        for (long end = n + count; n < end; n++)
            syscall(SYS_close, (int)(-1 - n));
        if (write(1, "k", 1) != 1)
            return 1;
    }
    return 0;
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("closer")
    (folder / "closer.c").write_text(SOURCE)
    subprocess.run(["gcc", "-O1", "-o", folder / "closer", folder / "closer.c"], check=True)
    return folder / "closer"


class Closer:
    """Makes numbered system calls."""

    def __init__(self, program: Path) -> None:
        self.process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        self.pid = self.process.pid

    def begin(self, count: int) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(count.to_bytes(8, "little"))

    def await_end(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.read(1) == b"k"

    def call(self, count: int) -> None:
        self.begin(count)
        self.await_end()

    def session(self, **options: Any) -> bp.Session:
        probe = bp.tracepoint("syscalls:sys_enter_close", n="fd:s32")
        return bp.Session(probe, pid=self.pid, **options)


@pytest.fixture
def closer(program: Path) -> Iterator[Closer]:
    closer = Closer(program)
    yield closer
    closer.process.kill()
    closer.process.communicate()


@pytest.mark.parametrize("transport", ["ring", "perf"])
@pytest.mark.parametrize("copy", [True, False])
def test_every_event_in_batches(closer: Closer, transport: str, copy: bool) -> None:
    lot = 50_021
    room = 256 * lot  # a lot and more fits, so nothing is lost however slow the reader is
    with closer.session(transport=transport, buffer_bytes=room) as session:
        numbers = []
        for done in range(0, IN_BATCHES, lot):
            count = min(lot, IN_BATCHES - done)
            closer.call(count)
            lot_numbers = []
            for batch in session.batches(duration=0, copy=copy):
                assert set(batch.array["pid"]) == {closer.pid}
                lot_numbers.append(-1 - batch.array["n"])
            assert sum(map(len, lot_numbers)) == count
            numbers += [np.array(part) for part in lot_numbers]
        whole = np.concatenate(numbers)
    if transport == "perf":
        whole.sort()  # those of a CPU come together
    assert (whole == np.arange(IN_BATCHES, dtype=np.int32)).all()
    assert session.statistics() == bp.Statistics(produced=IN_BATCHES, delivered=IN_BATCHES)


def test_every_event_in_batches_that_cannot_wait(closer: Closer) -> None:
    """The program never pauses: what the ring had no room for is missing, and counted."""
    with closer.session() as session:
        closer.begin(IN_BATCHES)
        numbers, seen = [], session.statistics()
        for batch in session.batches():
            numbers.append(-1 - batch.array["n"])
            seen = session.statistics()
            if seen.delivered + seen.lost == IN_BATCHES:
                break
        closer.await_end()
    whole = np.concatenate(numbers)
    assert (np.diff(whole) > 0).all(), "each once, in order"
    final = session.statistics()
    assert (final.produced, final.delivered) == (IN_BATCHES, len(whole))
    assert final.lost == IN_BATCHES - len(whole)
    assert final.dropped == 0


def test_every_event_by_callback(closer: Closer) -> None:
    lot = 50_021
    numbers: list[int] = []
    session = closer.session(buffer_bytes=256 * lot)

    @session.on(session.probes[0])
    def note(event: Any) -> None:
        numbers.append(-1 - event.n)

    with session:
        for done in range(0, BY_CALLBACK, lot):
            closer.call(min(lot, BY_CALLBACK - done))
            session.run(duration=0)
    assert numbers == list(range(BY_CALLBACK))
    assert session.statistics() == bp.Statistics(produced=BY_CALLBACK, delivered=BY_CALLBACK)


@pytest.mark.parametrize("transport", ["ring", "perf"])
def test_a_buffer_of_a_page_loses_and_says_how_much(closer: Closer, transport: str) -> None:
    with closer.session(transport=transport, buffer_bytes=1) as session:
        closer.call(30_011)  # comes back: nothing ever waits for the reader
        full = session.statistics()
        first = [-1 - event.n for event in session.events(duration=0)]
        closer.call(23)
        rest = [-1 - event.n for event in session.events(duration=0)]
    assert 0 < len(first) < 30_011
    assert (full.produced, full.lost, full.waiting) == (30_011, 30_011 - len(first), len(first))
    assert rest == list(range(30_011, 30_034)), "there is room again"
    if transport == "ring":
        assert first == list(range(len(first))), "those that came first"
    assert session.statistics().produced == session.statistics().delivered + full.lost


def test_a_path_costs_its_length(tmp_path: Path) -> None:
    """Twelve bytes of text take twelve bytes of the ring, and not room for the longest."""
    probe = bp.tracepoint("syscalls:sys_enter_chdir", path="filename:ustring", comm=False)
    with bp.Session(probe, pid=os.getpid(), transport="ring") as session:
        layout = session.event_type(probe).layout
        source = session._opened_delivery()._source
        for length in (12, 30, 100):
            before = source.progress()[1]
            for _ in range(7):
                with pytest.raises(FileNotFoundError):
                    os.chdir("/" + "x" * (length - 1))
            taken = source.progress()[1] - before
            # 8 bytes of the ring's own, and padding to 8
            assert taken == 7 * (-(-(layout.head_size + length) // 8) * 8 + 8)
        paths = [event.path for event in session.events(duration=0)]
    assert [len(path) for path in paths] == [12] * 7 + [30] * 7 + [100] * 7


ENDLESS = """
import os, sys
import bpfprobe as bp
with bp.Session(bp.tracepoint("syscalls:sys_enter_close", n="fd:s32"), pid=int(sys.argv[1])) as s:
    print("ready", flush=True)
    try:
        for number, batch in enumerate(s.batches(copy=sys.argv[2] == "copy")):
            batch.array["n"].sum()
            if number == 11:
                print("under way", flush=True)
    finally:
        now = s.statistics()
        print(now.delivered > 0, now.produced - now.delivered - now.lost - now.waiting, flush=True)
"""


@pytest.mark.parametrize("how", ["copy", "view"])
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, -signal.SIGINT), (signal.SIGTERM, 143)]
)
def test_a_signal_ends_batches_under_a_flood(
    closer: Closer, number: int, status: int, how: str
) -> None:
    tracer = subprocess.Popen(
        [sys.executable, "-c", ENDLESS, str(closer.pid), how],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert tracer.stdout is not None
        assert tracer.stdout.readline() == "ready\n"
        closer.begin(1 << 40)
        assert tracer.stdout.readline() == "under way\n"
        tracer.send_signal(number)
        output, errors = tracer.communicate(timeout=60)
    finally:
        tracer.kill()
    assert output == "True 0\n", errors
    assert tracer.returncode == status


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two CPUs")
@pytest.mark.parametrize("ordered", [True, False])
def test_events_of_two_cpus_in_the_order_of_their_times(ordered: bool) -> None:
    probe = bp.tracepoint("syscalls:sys_enter_close", n="fd:s32", filter="fd > 4000000000")
    cpus = sorted(os.sched_getaffinity(0))[:2]
    with bp.Session(probe, pid=os.getpid(), transport="perf", ordered=ordered) as session:
        try:
            for n in range(997):
                os.sched_setaffinity(0, {cpus[n % 2]})
                with pytest.raises(OSError, match="Bad file descriptor"):
                    os.close(-2 - n)
        finally:
            os.sched_setaffinity(0, cpus)
        events = list(session.events(duration=0))
    numbers = [-2 - event.n for event in events]
    assert {event.cpu for event in events} == set(cpus)
    assert sorted(numbers) == list(range(997))
    assert (numbers == list(range(997))) is ordered
    assert session.statistics() == bp.Statistics(produced=997, delivered=997)


@pytest.mark.parametrize("transport", ["ring", "perf"])
def test_a_view_that_is_kept_for_too_long_is_no_crash(closer: Closer, transport: str) -> None:
    with closer.session(transport=transport) as session:
        closer.call(23)
        (batch,) = session.batches(duration=0, copy=False)
        kept = batch.array["n"]
        assert kept.tolist() == [-1 - n for n in range(23)]
    assert kept.tolist() == [0] * 23
    assert kernel_things() == []
