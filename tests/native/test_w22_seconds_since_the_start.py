"""trace -t counts from when the tracer began: no event is before that, the first ones neither."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.native.programs import needs_uprobes

pytestmark = needs_uprobes

ROOT = Path(__file__).resolve().parents[2]
BUSY = "import os\nprint(flush=True)\nwhile True: os.getppid()"


@pytest.mark.parametrize("spec", ["p:c:getppid", "uprobe:c:getppid", "uretprobe:c:getppid pid"])
def test_no_event_is_before_the_start(spec: str) -> None:
    busy = subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE)
    try:
        assert busy.stdout is not None
        busy.stdout.readline()
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "bpfprobe", "trace", "--timestamp", "-M", "503",
             "-p", str(busy.pid), spec],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        took = time.monotonic() - began
    finally:
        busy.kill()
        busy.communicate()
    _, *rows = done.stdout.splitlines()
    seconds = [float(row.split()[0]) for row in rows]
    assert len(seconds) == 503
    assert 0 < seconds[0] <= max(seconds) < took
