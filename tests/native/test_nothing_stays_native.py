"""Sessions leave nothing in this process, in a forked one, or in the program that they probed."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import bpfprobe as bp
from bpfprobe.engine.live import LiveEngine
from bpfprobe.errors import AttachError
from tests.native.programs import Program, Worker, hot, kernel_things, needs_uprobes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfprobe.model.object import Bytecode, CSource

pytestmark = needs_uprobes


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return Program.build(tmp_path_factory.mktemp("program"))


@pytest.fixture
def worker(program: Program) -> Iterator[Worker]:
    with Worker(program) as worker:
        yield worker


class CompilesOnce(LiveEngine):
    """An engine that remembers what it compiled, to open many sessions in little time."""

    done: tuple[Bytecode, ...] = ()

    def compile(self, source: CSource) -> tuple[Bytecode, ...]:
        if not CompilesOnce.done:
            CompilesOnce.done = super().compile(source)
        return CompilesOnce.done


@pytest.mark.parametrize(("transport", "times"), [("ring", 101), ("perf", 23)])
def test_a_hundred_sessions_leave_nothing(worker: Worker, transport: str, times: int) -> None:
    CompilesOnce.done = ()
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(times):
        with bp.Session(hot(worker), engine=CompilesOnce(), transport=transport) as session:
            worker.hot(3)
            assert len(list(session.events(duration=0))) == 3
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors
    assert kernel_things() == []
    assert not worker.is_probed("hot")


def test_all_or_nothing(worker: Worker) -> None:
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    data = bp.uprobe(worker.program.path, offset=1 << 30)
    with pytest.raises((AttachError, bp.SpecError)):
        bp.Session(hot(worker), data).open()
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors
    assert not worker.is_probed("hot")


@pytest.mark.parametrize("transport", ["ring", "perf"])
def test_a_forked_child_holds_nothing(worker: Worker, transport: str) -> None:
    with bp.Session(hot(worker), transport=transport) as session:
        assert kernel_things() != []
        ready, born = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(born, b"!")
            time.sleep(600)
            os._exit(0)
        assert os.read(ready, 1) == b"!"
        worker.hot(23)
        assert len(list(session.events(duration=0))) == 23  # the child has taken none
        held = kernel_things(child)
    after = worker.is_probed("hot")
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(ready)
    os.close(born)
    assert held == []
    assert not after


def test_a_forked_child_leaves_the_session_to_its_parent(worker: Worker) -> None:
    with bp.Session(hot(worker)) as session:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                session.close()
                status = 0 if session.statistics() == bp.Statistics() else 2
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        worker.hot(23)
        assert len(list(session.events(duration=0))) == 23
