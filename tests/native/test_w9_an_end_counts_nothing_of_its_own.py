"""A session that is closed under load counts no hit, and no miss, of the time that closing takes.

What is probed hands over 0, 1, 2 and so on, so events themselves say how many calls there were.
"""

from __future__ import annotations

import subprocess
import threading
import time
from itertools import islice
from typing import TYPE_CHECKING

import pytest

import bpfprobe as bp
from tests.native.programs import needs_uprobes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = needs_uprobes

AT_LEAST = 23
SOURCE = r"""
#include <sys/syscall.h>
#include <unistd.h>
__attribute__((noipa)) long busy(long n) { return n; }
int main(void)
{
    for (long n = 0;; n = (n + 1) & 0x7fffffff) {
        busy(n);
        syscall(SYS_getpgid, n);
    }
}
"""


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    source, path = tmp_path / "busy.c", tmp_path / "busy"
    source.write_text(SOURCE)
    subprocess.run(["gcc", "-O1", "-o", path, source], check=True)
    with subprocess.Popen([path]) as process:
        yield process
        process.kill()


def probes(process: subprocess.Popen[bytes]) -> list[bp.Probe]:
    path = str(process.args[0])  # type: ignore[index]  # the list that the fixture gave
    return [
        bp.uprobe(path, "busy", n="$arg1:s64"),
        bp.uretprobe(path, "busy", n="$retval:s64", took="duration"),
        bp.tracepoint("syscalls:sys_enter_getpgid", n="pid:s32"),
        bp.syscall("getpgid", n="pid:s32", got="retval:s32"),
    ]


@pytest.mark.parametrize(("transport", "sessions"), [("ring", 23), ("perf", 7)])
def test_the_ledger_of_sessions_under_load(
    busy: subprocess.Popen[bytes], transport: str, sessions: int
) -> None:
    for number in range(sessions):
        one = probes(busy)[number % 4]
        with bp.Session(one, pid=busy.pid, transport=transport, buffer_bytes=16 << 20) as session:
            numbers = [event.n for event in islice(session, AT_LEAST)]
            numbers += [event.n for event in session.events(duration=0, last=True)]
        numbers.sort()  # perf buffers have no order among CPUs
        ended = session.statistics()
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert (ended.produced, ended.delivered) == (len(numbers), len(numbers))
        assert (ended.lost, ended.dropped, ended.missed) == (0, 0, 0)
        assert ended.in_flight <= 1
        assert ended.complete


def test_what_was_not_taken_is_dropped_and_nothing_else(busy: subprocess.Popen[bytes]) -> None:
    with bp.Session(*probes(busy), pid=busy.pid, buffer_bytes=1) as session:
        next(iter(session))
        while not session.statistics().waiting:
            time.sleep(0.001)
        session._attachment.end_counting()  # type: ignore[union-attr]  # as closing does
        before = session.statistics()
        assert before.waiting > 0
        assert session.statistics() == before, "the program goes on, and nothing is counted"
    ended = session.statistics()
    assert ended.dropped == before.waiting
    assert (ended.produced, ended.lost, ended.missed) == (before.produced, before.lost, 0)
    assert ended.delivered == 1


def test_an_iteration_after_the_last_gives_what_is_left(busy: subprocess.Popen[bytes]) -> None:
    with bp.Session(probes(busy)[0], pid=busy.pid) as session:
        while session.statistics().waiting < AT_LEAST:
            time.sleep(0.001)
        first = [event.n for event in islice(session.events(duration=0, last=True), 7)]
        rest = [event.n for event in session]
        assert list(session) == []
        batches = list(session.batches())
    assert batches == []
    assert first + rest == list(range(first[0], first[0] + len(first) + len(rest)))
    assert session.statistics().produced == len(first + rest)


def test_closing_in_another_thread(busy: subprocess.Popen[bytes]) -> None:
    probe = probes(busy)[1]
    for _ in range(5):
        session = bp.Session(probe, pid=busy.pid)
        with session:
            timer = threading.Timer(0.05, session.close)
            timer.start()
            numbers = [event.n for event in session]
            timer.join()
        ended = session.statistics()
        assert (len(numbers), ended.missed) == (ended.delivered, 0)
        assert ended.produced == ended.delivered + ended.lost + ended.dropped
