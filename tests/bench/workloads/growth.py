"""What more work costs: more probes, longer events, more calls under way, longer filters.

Each is a curve, and it has a knee where a unit of work costs over twice what it did with less.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bench.figure import Curve
from tests.bench.processes import Producer, Tracer
from tests.bench.workload import Unmeasurable, Workload

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import ExitStack

    from tests.bench.setting import Setting
    from tests.bench.workload import Contestants, Turn

EVENTS = 20_011
UNITS = {"start": "ms", "memory": "MB", "hit": "ns", "event": "ns", "detach": "ms"}


def contestants(mode: str, amounts: tuple[int, ...]) -> Contestants:
    """One for each amount of work."""

    def made(setting: Setting, stack: ExitStack) -> Mapping[str, Turn]:
        return {str(amount): _turn(setting, mode, amount) for amount in amounts}

    return made


def _turn(setting: Setting, mode: str, amount: int) -> Turn:
    producer_modes = {
        "probes": ("functions",),
        "bytes": ("write", amount),
        "threads": ("read", amount),
        "choices": ("getppid",),
    }

    def turn() -> Mapping[str, float]:
        count = setting.count(EVENTS)
        with Producer(setting, *producer_modes[mode]) as producer:
            what = (mode, amount, producer.pid, setting.producer, count)
            with Tracer(setting, setting.python("ours_grow", *what)) as tracer:
                attached_ns = tracer.answer()["attached_ns"]
                memory = tracer.peak_kb() / 1024
                _, hit = producer.run(count)
                tracer.tell()
                answer = tracer.answer()
                tracer.tell()
                detach_ns = tracer.answer()["detach_ns"]
            if answer["events"] != count:
                raise Unmeasurable(f"it got {answer['events']} of {count} events")
        return {
            "start": (attached_ns - tracer.started_ns) / 1e6,
            "memory": memory,
            "hit": hit,
            "event": answer["cpu_ns"] / count,
            "detach": detach_ns / 1e6,
        }

    return turn


PROBES = Workload(
    name="probes",
    title="uprobes in one session, warm",
    units=UNITS,
    contestants=contestants("probes", (1, 10, 100)),
    curves=(
        Curve("process start to attached, a probe", "start"),
        Curve("peak memory, a probe", "memory"),
        Curve("detaching, a probe", "detach"),
        Curve("a hit", "hit", each=False),
    ),
)
BYTES = Workload(
    name="bytes",
    title="bytes of text in an event",
    units=UNITS,
    contestants=contestants("bytes", (16, 64, 256, 1024, 4096)),
    curves=(
        Curve("a hit, a byte", "hit"),
        Curve("reading an event, a byte", "event"),
    ),
)
THREADS = Workload(
    name="threads",
    title="calls under way, whose entry is kept for their return",
    units=UNITS,
    contestants=contestants("threads", (1, 10, 100, 1000)),
    curves=(
        Curve("a call", "hit", each=False),
        Curve("peak memory", "memory", each=False),
    ),
)
CHOICES = Workload(
    name="choices",
    title="alternatives in a filter, of which the last one holds",
    units=UNITS,
    contestants=contestants("choices", (1, 10, 100)),
    curves=(
        Curve("process start to attached, an alternative", "start"),
        Curve("a hit", "hit", each=False),
    ),
)
