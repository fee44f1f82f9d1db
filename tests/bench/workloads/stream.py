"""Events of 48 bytes from the tracepoint of getppid(2), while they are read.

The traced program and the tracer each have a CPU of their own. What a hit costs is the time of the
system call less that of the same call untraced. The rate is that of a fixed number of events, from
the first call until the last event was handed to a Python function that reads three attributes; it
counts only if none was lost, for which the buffers of bpfprobe and of bcc's ring have 64 MiB, and
bcc's perf buffer 8 MiB a processor: with its own 8 pages it loses some whenever its reader is held
up. What a hit costs does not depend on it.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.figure import Figure
from tests.bench.processes import Process, Producer, Tracer
from tests.bench.workload import Unmeasurable, Workload

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import ExitStack

    from tests.bench.setting import Setting
    from tests.bench.workload import Turn

OURS_EVENTS, BCC_EVENTS, BPFTRACE_EVENTS = 500_009, 50_021, 20_011
PERF_PAGES, RING_PAGES = 1 << 11, 1 << 14


def contestants(setting: Setting, stack: ExitStack) -> Mapping[str, Turn]:
    turns = traced_by(setting, "tracepoint", OURS_EVENTS, BCC_EVENTS)
    if not setting.without_bpftrace:
        turns["bpftrace"] = lambda: _bpftrace(setting, setting.count(BPFTRACE_EVENTS))
    return turns


def traced_by(setting: Setting, point: str, events: int, fewer: int) -> dict[str, Turn]:
    """Calls traced by nobody, by bpfprobe and by bcc, at a tracepoint or a kprobe."""

    def untraced() -> Mapping[str, float]:
        count = setting.count(events)
        with Producer(setting, "getppid") as producer:
            return {"hit": producer.run(count)[1]}

    def traced(make: Callable[[int, int], list[str]], wanted: int) -> Turn:
        return lambda: _stream(setting, make, setting.count(wanted))

    def ours(pid: int, count: int) -> list[str]:
        return setting.python("ours_stream", point, pid, count, "now", "each")

    def bcc(kind: str, pages: int) -> Callable[[int, int], list[str]]:
        what = ("now", kind, pages)
        return lambda pid, count: setting.python("bcc_stream", point, pid, count, *what)

    turns: dict[str, Turn] = {"untraced": untraced, "bpfprobe": traced(ours, events)}
    if not setting.without_bcc:
        turns["bcc, empty"] = traced(bcc("empty", 0), events)
        turns["bcc"] = traced(bcc("perf", PERF_PAGES), fewer)
        turns["bcc, best"] = traced(bcc("ring", RING_PAGES), events)
    return turns


def _stream(
    setting: Setting, make: Callable[[int, int], list[str]], count: int
) -> dict[str, float]:
    with (
        Producer(setting, "getppid") as producer,
        Tracer(setting, make(producer.pid, count)) as tracer,
    ):
        tracer.answer()
        start, hit = producer.run(count)
        tracer.tell()
        answer = tracer.answer()
    found = {"hit": hit}
    if answer["events"]:
        found["lost"] = float(count - answer["events"])
    if answer["events"] == count:
        found["rate"] = count / (answer["ended_ns"] - start) * 1e3
    return found


def _bpftrace(setting: Setting, count: int) -> dict[str, float]:
    """Its lines go to a file, as nobody reads them while the calls are made."""
    with Producer(setting, "getppid") as producer:
        text = (
            f"tracepoint:syscalls:sys_enter_getppid /pid == {producer.pid}/ "
            '{ printf("%llu %d %d %s %d\\n", nsecs, pid, tid, comm, args->__syscall_nr); }'
        )
        argv = ["bpftrace", "-B", "line", "-e", text]
        environment, cpu = setting.environment(), setting.tracer_cpu
        with (
            open(setting.folder / "bpftrace.txt", "wb") as output,
            Process(argv, environment, cpu, output),
        ):
            _await_event(producer, Path(output.name))
            return {"hit": producer.run(count)[1]}


def _await_event(producer: Producer, output: Path) -> None:
    """It says that it attaches, and not when it has: so until an event is printed."""
    for _ in range(300):
        producer.run(1)
        time.sleep(0.1)
        if str(producer.pid) in output.read_text():
            return
    raise Unmeasurable("it printed no event")


STREAM = Workload(
    name="stream",
    title="getppid(2), each call an event of 48 bytes to a Python function that reads three fields",
    units={"hit": "ns", "rate": "M/s", "lost": "events"},
    contestants=contestants,
    figures=(
        Figure(
            "cost of a hit to the traced program", "hit", "bpfprobe", "bcc", 0.03, base="untraced"
        ),
        Figure(
            "cost of a hit over that of an empty program",
            *("hit", "bpfprobe", "bcc, best", 1.0),
            base="bcc, empty",
        ),
        Figure(
            "cost of a hit to the traced program", "hit", "bpfprobe", "bpftrace", base="untraced"
        ),
        Figure(
            "events a second to a Python callback, none lost",
            *("rate", "bpfprobe", "bcc", 10.0),
            more=True,
        ),
        Figure(
            "events a second to a Python callback, none lost",
            *("rate", "bpfprobe", "bcc, best"),
            more=True,
        ),
    ),
)
