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

EVENTS, BATCH_EVENTS = 200_003, 1_000_003
PERF_PAGES, RING_PAGES = 1 << 13, 1 << 14


def contestants(setting: Setting, stack: ExitStack) -> Mapping[str, Turn]:
    def reading(events: int, contestant: str, *how: object) -> Turn:
        def command(pid: int, count: int) -> list[str]:
            return setting.python(contestant, "tracepoint", pid, count, "later", *how)

        return lambda: _consume(setting, command, setting.count(events))

    turns: dict[str, Turn] = {
        "bpfprobe": reading(EVENTS, "ours_stream", "each"),
        "bpfprobe, batches": reading(BATCH_EVENTS, "ours_stream", "batches"),
    }
    if not setting.without_bcc:
        turns["bcc"] = reading(EVENTS, "bcc_stream", "perf", PERF_PAGES)
        turns["bcc, best"] = reading(EVENTS, "bcc_stream", "ring", RING_PAGES)
    return turns


def _consume(
    setting: Setting, make: Callable[[int, int], list[str]], count: int
) -> dict[str, float]:
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
