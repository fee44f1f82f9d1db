"""Measures in a guest of the lab what this kernel cannot do."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bpfprobe.errors import LabError
from bpfprobe.lab import Lab
from bpfprobe.lab.progress import Progress
from tests.bench.figure import Samples

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.bench.setting import Setting
    from tests.bench.workload import Workload

KERNEL = "6.1"
TIMEOUT_S = 1800.0
MOST_RUNS = 2
"""An emulated processor takes half a minute for what bcc compiles in one second."""
PRODUCER = "/tmp/producer"
SCRIPT = f'cat > {PRODUCER} && chmod +x {PRODUCER} && exec "$@"'
COMPILE_THERE = {"BPFPROBE_COMPILER": ""}
"""The lab would have the host compile for bpfprobe, and not for bcc."""


def has_kprobes() -> bool:
    """Whether this kernel has kprobes, so that no guest is needed."""
    return Path("/sys/bus/event_source/devices/kprobe").exists()


def measure_in_guest(
    workload: Workload, setting: Setting, progress: Callable[[str], object]
) -> Samples:
    """Run the benchmarks in a guest with the same program to trace, and take their samples."""
    progress(f"{workload.name}: in a guest with Linux {KERNEL}")
    options = ["--only", workload.name, "--runs", str(min(setting.runs, MOST_RUNS)), "--json"]
    bench = [sys.executable, "-m", "tests.bench", *options, "--producer", PRODUCER]
    if setting.quick:
        bench.append("--quick")
    try:
        with Lab(KERNEL, headers=True, progress=Progress(None)).restore() as guest:
            done = guest.run(
                ["sh", "-c", SCRIPT, "sh", *bench],
                timeout_s=TIMEOUT_S,
                env=COMPILE_THERE,
                stdin=setting.producer.read_bytes(),
            )
    except LabError as error:
        return Samples(notes=[f"{workload.name}: not measured, there is no guest: {error}"])
    if done.status != 0:
        complaint = done.stderr.decode("utf-8", "replace").strip().splitlines()
        said = complaint[-1] if complaint else f"status {done.status}"
        return Samples(notes=[f"{workload.name}: not measured, in the guest: {said}"])
    found = json.loads(done.stdout)
    return Samples(found["samples"][workload.name], found["left_out"])
