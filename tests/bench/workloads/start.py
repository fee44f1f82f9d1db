"""How long it takes until a uprobe is attached, and what memory that takes.

A cold start has an empty cache, and is measured from the description on, imports not counted. A
warm one is the whole process: from its start until the probe is seen in the memory of the program
that is traced, which is the same measure for all. bcc and bpftrace know no other start than a cold
one. On a busy machine the processor time of the whole process tells more.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.figure import Figure
from tests.bench.processes import Producer, Tracer
from tests.bench.workload import Workload

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import ExitStack

    from tests.bench.setting import Setting
    from tests.bench.workload import Turn


def contestants(setting: Setting, stack: ExitStack) -> Mapping[str, Turn]:
    producer = stack.enter_context(Producer(setting, "functions"))
    program = setting.producer

    def ours_cold() -> Mapping[str, float]:
        cache = Path(tempfile.mkdtemp(dir=setting.folder))
        try:
            return _start(setting, producer, setting.installed("ours_start", program), cache)
        finally:
            shutil.rmtree(cache)

    def ours() -> Mapping[str, float]:
        return _start(setting, producer, setting.installed("ours_start", program))

    def bcc() -> Mapping[str, float]:
        return _start(setting, producer, setting.installed("bcc_start", program))

    def bpftrace() -> Mapping[str, float]:
        action = '{ printf("%llu %d %d %s %d\\n", nsecs, pid, tid, comm, arg0); }'
        text = f"uprobe:{program}:work {action}"
        return _start(setting, producer, ["bpftrace", "-e", text], reports=False)

    turns: dict[str, Turn] = {"bpfprobe, cold": ours_cold, "bpfprobe": ours}
    if not setting.without_bcc:
        turns["bcc"] = bcc
    if not setting.without_bpftrace:
        turns["bpftrace"] = bpftrace
    return turns


def _start(
    setting: Setting,
    producer: Producer,
    argv: list[str],
    cache: Path | None = None,
    *,
    reports: bool = True,
) -> dict[str, float]:
    producer.await_probe(there=False)
    found = {}
    with Tracer(setting, argv, cache, pinned=False) as tracer:
        seen_ns = producer.await_probe()
        found["start"] = (seen_ns - tracer.started_ns) / 1e6
        if reports:
            answer = tracer.answer()
            found["describe"] = (answer["attached_ns"] - answer["describing_ns"]) / 1e6
        found["work"] = tracer.processor_ms()
        found["memory"] = tracer.peak_kb() / 1024
    return found


START = Workload(
    name="start",
    title="one uprobe with one argument, until it is attached",
    units={"describe": "ms", "start": "ms", "work": "ms", "memory": "MB"},
    contestants=contestants,
    figures=(
        Figure("cold start, description to attached", "describe", "bpfprobe, cold", "bcc", 0.25),
        Figure("warm start, process start to attached", "start", "bpfprobe", "bcc", 0.05),
        Figure("warm start, process start to attached", "start", "bpfprobe", "bpftrace", 0.25),
        Figure("processor time of a cold start", "work", "bpfprobe, cold", "bcc"),
        Figure("processor time of a warm start", "work", "bpfprobe", "bcc"),
        Figure("processor time of a warm start", "work", "bpfprobe", "bpftrace"),
        Figure("peak memory, warm", "memory", "bpfprobe", "bcc", 0.15),
        Figure("peak memory, warm", "memory", "bpfprobe", "bpftrace", 1.0),
    ),
)
