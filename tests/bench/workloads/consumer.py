"""What Python spends on an event: decoding it, and reading three of its fields.

All events are in the buffer before the clock starts; it shows the processor time of the process.
A batch is a numpy array, and reading a field of it is a sum or a maximum over all its events.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bench.figure import Figure
from tests.bench.processes import Producer, Tracer
from tests.bench.workload import Unmeasurable, Workload

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import ExitStack

    from tests.bench.setting import Setting
    from tests.bench.workload import Turn

EVENTS = 200_003
PERF_PAGES, RING_PAGES = 1 << 13, 1 << 14


def contestants(setting: Setting, stack: ExitStack) -> Mapping[str, Turn]:
    def ours(how: str) -> Turn:
        return lambda: _consume(
            setting,
            lambda pid, count: setting.python(
                "ours_stream", "tracepoint", pid, count, "later", how
            ),
        )

    def bcc(kind: str, pages: int) -> Turn:
        return lambda: _consume(
            setting,
            lambda pid, count: setting.python(
                "bcc_stream", "tracepoint", pid, count, "later", kind, pages
            ),
        )

    turns: dict[str, Turn] = {"bpfprobe": ours("each"), "bpfprobe, batches": ours("batches")}
    if not setting.without_bcc:
        turns["bcc"] = bcc("perf", PERF_PAGES)
        turns["bcc, best"] = bcc("ring", RING_PAGES)
    return turns


def _consume(setting: Setting, make: Callable[[int, int], list[str]]) -> dict[str, float]:
    count = setting.count(EVENTS)
    with (
        Producer(setting, "getppid") as producer,
        Tracer(setting, make(producer.pid, count)) as tracer,
    ):
        tracer.answer()
        producer.run(count)
        tracer.tell()
        answer = tracer.answer()
    if answer["events"] != count:
        raise Unmeasurable(f"it got {answer['events']} of {count} events")
    return {"event": answer["cpu_ns"] / count}


CONSUMER = Workload(
    name="consumer",
    title="reading events that are in the buffer, processor time",
    units={"event": "ns"},
    contestants=contestants,
    figures=(
        Figure("an event, decoded, three attributes read", "event", "bpfprobe", "bcc", 0.4),
        Figure(
            "an event of a batch, three columns read", "event", "bpfprobe, batches", "bcc", 0.05
        ),
        Figure("an event, decoded, three attributes read", "event", "bpfprobe", "bcc, best"),
    ),
)
