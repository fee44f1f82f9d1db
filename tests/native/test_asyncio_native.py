"""A session in asyncio on a program that floods it: others run, and cancelling detaches."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

import bpfprobe as bp
from tests.native.programs import Program, Worker, hot, kernel_things, needs_uprobes

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = needs_uprobes


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return Program.build(tmp_path_factory.mktemp("program"))


@pytest.fixture
def worker(program: Program) -> Iterator[Worker]:
    with Worker(program) as worker:
        yield worker


def test_a_flood_leaves_other_tasks_their_turns_and_cancelling_detaches(worker: Worker) -> None:
    turns, seen = 0, list[int]()
    session = bp.Session(hot(worker))

    async def tick() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def watch() -> None:
        async with session:
            worker.flood()
            async for event in session:
                seen.append(event.n)

    async def main() -> None:
        ticking, watching = asyncio.create_task(tick()), asyncio.create_task(watch())
        while len(seen) < 20_011:
            await asyncio.sleep(0)
        assert worker.is_probed("hot")
        watching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await watching
        ticking.cancel()

    threads = threading.active_count()
    asyncio.run(main())
    assert threading.active_count() == threads
    assert turns >= len(seen) // 64
    assert seen[:20_011] == list(range(seen[0], seen[0] + 20_011))
    worker.await_probe("hot", there=False)
    assert kernel_things() == []
    final = session.statistics()
    assert final.delivered == len(seen)
    assert final.produced == final.delivered + final.lost + final.dropped


@pytest.mark.parametrize("transport", ["ring", "perf"])
def test_events_wake_the_loop_again_and_again(worker: Worker, transport: str) -> None:
    """Each lot comes after the loop has gone to sleep, and the consumer is slow in between."""

    async def main() -> list[int]:
        seen = []
        loop = asyncio.get_running_loop()
        async with bp.Session(hot(worker), transport=transport) as session:
            loop.call_soon(worker.hot, 7)
            async for event in session:
                seen.append(event.n)
                if len(seen) == 21:
                    break
                if len(seen) % 7 == 0:
                    await asyncio.sleep(0.02)
                    loop.call_later(0.05, worker.hot, 7)
        return seen

    assert asyncio.run(main()) == [1000 + n for n in range(7)] * 3
