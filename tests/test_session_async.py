"""A session in asyncio: events as they come, other tasks between them, nothing left behind."""

from __future__ import annotations

import asyncio

import pytest

import bpfprobe as bp
from bpfprobe.testing import FakeEngine, StaticTarget, pack_record

TARGET = StaticTarget(
    functions=["long vfs_read(struct file *file, char *buf, unsigned long count)"]
)
FLOOD = 9973


def session(engine: FakeEngine) -> bp.Session:
    return bp.Session(bp.kprobe("vfs_read", n="count"), target=TARGET, engine=engine)


def push(engine: FakeEngine, opened: bp.Session, count: int, first: int = 0) -> None:
    layout = opened.event_type(opened.probes[0]).layout
    for number in range(first, first + count):
        engine.push(pack_record(layout, n=number))


def test_events_come_in_order_and_nothing_stays() -> None:
    async def main() -> list[int]:
        seen = []
        async with session(engine) as opened:
            push(engine, opened, 23)
            async for event in opened:
                seen.append(event.n)
                if len(seen) == 23:
                    break
        return seen

    engine = FakeEngine()
    assert asyncio.run(main()) == list(range(23))
    assert engine.is_idle


def test_events_that_come_later_wake_the_task() -> None:
    async def main() -> int:
        async with session(engine) as opened:
            asyncio.get_running_loop().call_later(0.01, push, engine, opened, 1, 7)
            async for event in opened:
                return int(event.n)
        return -1

    engine = FakeEngine()
    assert asyncio.run(main()) == 7


def test_a_stop_with_drain_hands_out_what_is_there() -> None:
    async def main() -> list[int]:
        seen = []
        async with session(engine) as opened:
            push(engine, opened, 211)
            async for event in opened:
                seen.append(event.n)
                opened.stop(drain=True)
        return seen

    engine = FakeEngine()
    assert asyncio.run(main()) == list(range(211))


def test_other_tasks_run_under_a_flood() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def main() -> int:
        task = asyncio.create_task(other())
        seen = 0
        async with session(engine) as opened:
            push(engine, opened, FLOOD)
            async for _ in opened:
                seen += 1
                if seen == FLOOD:
                    break
        task.cancel()
        return seen

    engine = FakeEngine()
    assert asyncio.run(main()) == FLOOD
    assert turns >= FLOOD // 64


def test_cancelling_detaches() -> None:
    async def main() -> None:
        async def watch() -> None:
            async with session(engine) as opened:
                async for _ in opened:
                    pass

        task = asyncio.create_task(watch())
        while not engine.attached:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    engine = FakeEngine()
    asyncio.run(main())
    assert engine.is_idle


def test_an_error_in_the_loop_reaches_the_caller() -> None:
    async def main() -> None:
        async with session(engine) as opened:
            push(engine, opened, 1)
            async for event in opened:
                raise ValueError(event.n)

    engine = FakeEngine()
    with pytest.raises(ValueError, match="0"):
        asyncio.run(main())
    assert engine.is_idle
