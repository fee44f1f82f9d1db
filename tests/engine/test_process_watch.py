"""What a watch of processes does with its buffers, in ordinary memory."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from bpfprobe.engine import process_watch as module
from bpfprobe.engine.fork_guard import ForkGuard
from bpfprobe.engine.process_records import read_records
from bpfprobe.engine.process_watch import ProcessWatch
from bpfprobe.errors import LoadError
from bpfprobe.model.mapping import Executed, Forked, RecordsLost

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfprobe.model.mapping import ProcessRecord

PAGE = os.sysconf("SC_PAGE_SIZE")
HEAD, TAIL = 1024, 1032
FORK, COMM, COMM_EXEC = 7, 3, 1 << 13


class Buffers:
    """The system calls of a watch: a buffer in memory for each CPU, an eventfd for its event."""

    def __init__(self) -> None:
        self.memory: dict[int, Any] = {}
        self.fds: dict[int, int] = {}
        self.failures: list[BaseException | None] = []

    def _step(self) -> None:
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            raise failure

    def perf_event_open(self, attr: bytes, pid: int, cpu: int) -> int:
        self._step()
        self.fds[cpu] = os.eventfd(0, os.EFD_NONBLOCK)
        return self.fds[cpu]

    def mmap(self, fd: int, size: int, offset: int, *, writable: bool) -> int:
        self._step()
        memory = ctypes.create_string_buffer(size)
        self.memory[next(cpu for cpu in self.fds if self.fds[cpu] == fd)] = memory
        return ctypes.addressof(memory)

    def munmap(self, address: int, size: int) -> None:
        self.memory = {c: m for c, m in self.memory.items() if ctypes.addressof(m) != address}

    def start_at(self, cpu: int, position: int) -> None:
        struct.pack_into("=QQ", self.memory[cpu], HEAD, position, position)

    def put(self, cpu: int, kind: int, misc: int, body: bytes, at_ns: int) -> None:
        record = struct.pack("=IHH", kind, misc, 16 + len(body)) + body + struct.pack("=Q", at_ns)
        memory = self.memory[cpu]
        (head,) = struct.unpack_from("=Q", memory, HEAD)
        size = len(memory) - PAGE
        for index, byte in enumerate(record):
            memory[PAGE + (head + index) % size] = byte
        struct.pack_into("=Q", memory, HEAD, head + len(record))
        os.eventfd_write(self.fds[cpu], 1)

    def fork(self, cpu: int, pid: int, at_ns: int) -> None:
        self.put(cpu, FORK, 0, struct.pack("=IIIIQ", pid, 1, pid, 1, 0), at_ns)


@pytest.fixture
def cpus(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    online = [0, 1]
    monkeypatch.setattr(module, "online_cpus", lambda: tuple(online))
    monkeypatch.setattr(module, "cpu_life", lambda cpu: 100 + cpu)
    monkeypatch.setattr(module, "_RESCAN_S", 0.01)
    return online


@pytest.fixture
def buffers(cpus: list[int]) -> Buffers:
    return Buffers()


@pytest.fixture
def watch(buffers: Buffers) -> Iterator[ProcessWatch]:
    watch = watching(buffers)
    yield watch
    watch.close()
    assert buffers.memory == {}


def watching(buffers: Any, guard: ForkGuard | None = None) -> ProcessWatch:
    return ProcessWatch(buffers, guard, buffer_bytes=PAGE)


def descriptors() -> list[str]:
    return sorted(os.listdir("/proc/self/fd"))  # noqa: PTH208


def test_what_cpus_tell_comes_by_time(buffers: Buffers, watch: ProcessWatch) -> None:
    for pid, cpu, at_ns in ((11, 0, 30), (12, 1, 20), (13, 0, 50), (14, 1, 40)):
        buffers.fork(cpu, pid, at_ns)
    assert watch.take() == [Forked(pid, 1) for pid in (12, 11, 14, 13)]
    assert watch.take() == []


def test_what_comes_while_cpus_are_read_waits_for_what_led_to_it(
    buffers: Buffers, watch: ProcessWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_ns = time.monotonic_ns()

    def after_the_first(data: bytes) -> list[tuple[int, ProcessRecord]]:
        if not data and buffers.fds:  # CPU 0 has been read, and had nothing
            monkeypatch.setattr(module, "read_records", read_records)
            buffers.fork(0, 11, now_ns + 10**12)
            buffers.put(1, COMM, COMM_EXEC, struct.pack("=II8s", 11, 11, b"program"), later_ns)
        return read_records(data)

    later_ns = now_ns + 10**12 + 1
    monkeypatch.setattr(module, "read_records", after_the_first)
    assert watch.take() == []
    monkeypatch.setattr(module.time, "monotonic_ns", lambda: later_ns + 1)
    assert watch.take() == [Forked(11, 1), Executed(11)]


@pytest.mark.parametrize("before_the_end", range(0, 64, 8))
def test_records_go_round_the_buffer(
    buffers: Buffers, watch: ProcessWatch, before_the_end: int
) -> None:
    for lap in (1, 1 << 30):
        buffers.start_at(0, lap * PAGE - before_the_end)
        buffers.fork(0, 11, 1)
        buffers.put(0, COMM, COMM_EXEC, struct.pack("=II8s", 12, 12, b"program"), 2)
        assert watch.take() == [Forked(11, 1), Executed(12)]


def test_a_cpu_that_comes_is_seen_where_nothing_else_happens(
    buffers: Buffers, watch: ProcessWatch, cpus: list[int]
) -> None:
    cpus.append(2)
    assert watch.wait() == [RecordsLost(0)]
    buffers.fork(2, 11, 1)
    assert watch.wait() == [Forked(11, 1)]


def test_it_ends_in_another_thread(watch: ProcessWatch) -> None:
    told: list[list[ProcessRecord]] = []
    waiting = threading.Thread(target=lambda: told.append(watch.wait()))
    waiting.start()
    watch.end()
    waiting.join(60)
    assert told == [[]]


def test_a_closed_one_opens_nothing(buffers: Buffers, cpus: list[int]) -> None:
    before = descriptors()
    guard = ForkGuard()
    watch = watching(buffers, guard)
    guard.close_all()  # as in a forked child
    cpus.append(2)
    assert watch.take() == []
    watch.end()
    watch.close()
    assert descriptors() == before


@pytest.mark.parametrize("step", range(4))
@pytest.mark.parametrize("failure", [OSError(errno.EMFILE, "files"), KeyboardInterrupt()])
def test_whatever_fails_nothing_stays(buffers: Buffers, step: int, failure: BaseException) -> None:
    before, guard = descriptors(), ForkGuard()
    buffers.failures = [*[None] * step, failure]
    expected = LoadError if isinstance(failure, OSError) else KeyboardInterrupt
    with pytest.raises(expected):
        watching(buffers, guard)
    assert descriptors() == before
    assert buffers.memory == {}
    assert guard._kept == {}


def test_no_descriptor_is_left_to_end_it_by(
    buffers: Buffers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: int) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, "eventfd", refuse)
    with pytest.raises(LoadError, match="Too many open files") as error:
        watching(buffers)
    assert (error.value.code, error.value.errno) == ("PROCESS_RECORDS", errno.EMFILE)
