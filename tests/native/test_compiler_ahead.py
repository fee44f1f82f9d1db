"""Sessions of which nothing is kept, so that a compiler runs beside the description."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import bpfprobe as bp
from tests.native.programs import Program, Worker, needs_uprobes

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = needs_uprobes

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return Program.build(tmp_path_factory.mktemp("program"))


@pytest.fixture
def worker(program: Program) -> Iterator[Worker]:
    with Worker(program) as worker:
        yield worker


@pytest.fixture(autouse=True)
def nothing_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is kept; afterwards no compiler is left, no descriptor, no folder."""
    monkeypatch.setenv("BPFPROBE_CACHE", "off")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    before = descriptors()
    yield
    assert compilers(os.getpid()) == []
    assert descriptors() == before
    assert list(tmp_path.iterdir()) == []


def descriptors() -> list[str]:
    return sorted(path.name for path in Path("/proc/self/fd").iterdir())


def compilers(pid: int) -> list[int]:
    """Children of a process that run the compiler, or that nobody has waited for."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            command = Path(f"/proc/{child}/cmdline").read_bytes()
            if not command or b"compiler_child" in command:
                found.append(int(child))
    return found


def probe(worker: Worker, number: int) -> bp.Probe:
    """One whose C nobody else's is."""
    path = worker.program.path
    return bp.uprobe(path, "hot", pid=worker.pid, n="$arg1", more=f"$arg1 + {number}")


def test_several_at_once_in_threads(worker: Worker) -> None:
    ready, seen = threading.Barrier(4), dict[int, list[int]]()

    def watch(number: int) -> None:
        with bp.Session(probe(worker, number)) as session:
            ready.wait(30)
            ready.wait(30)
            seen[number] = [event.more - event.n for event in session.events(duration=0)]

    threads = [threading.Thread(target=watch, args=(number,)) for number in (2, 3, 5)]
    for thread in threads:
        thread.start()
    ready.wait(30)
    worker.hot(23)
    ready.wait(30)
    for thread in threads:
        thread.join()
    assert seen == {number: [number] * 23 for number in (2, 3, 5)}


def test_several_at_once_in_asyncio(worker: Worker) -> None:
    async def watch(number: int, ready: asyncio.Semaphore) -> list[int]:
        seen = []
        async with bp.Session(probe(worker, number)) as session:
            ready.release()
            async for event in session:
                seen.append(event.more - event.n)
                if len(seen) == 23:
                    break
        return seen

    async def main() -> list[list[int]]:
        ready = asyncio.Semaphore(0)
        tasks = [asyncio.create_task(watch(number, ready)) for number in (7, 11)]
        for _ in tasks:
            await asyncio.wait_for(ready.acquire(), 60)
        worker.hot(23)
        return await asyncio.gather(*tasks)

    assert asyncio.run(main()) == [[7] * 23, [11] * 23]


def test_a_refused_description(worker: Worker) -> None:
    refused = bp.uprobe(worker.program.path, "hott", n="$arg1")
    with pytest.raises(bp.SpecError, match="did you mean hot"), bp.Session(refused):
        pass


def test_an_interrupt_of_the_terminal_while_it_is_described(worker: Worker) -> None:
    script = f"""
        import sys, time
        sys.path.insert(0, {str(ROOT)!r})
        import bpfprobe as bp
        from bpfprobe import pipeline

        def describe(*arguments):
            print("describing", flush=True)
            time.sleep(600)

        pipeline.describe = describe
        with bp.Session(bp.uprobe({worker.program.path!r}, "hot", n="$arg1")):
            pass
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "describing\n"
        (compiler,) = compilers(program.pid)
        os.killpg(program.pid, signal.SIGINT)
        _, complaints = program.communicate(timeout=60)
    assert program.returncode == -signal.SIGINT
    assert complaints.count("Traceback") == 1
    assert complaints.endswith("KeyboardInterrupt\n")
    deadline = time.monotonic() + 30
    while Path(f"/proc/{compiler}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.005)
