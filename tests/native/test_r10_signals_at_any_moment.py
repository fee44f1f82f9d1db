"""Ctrl-C and SIGTERM at any moment of start, run and close leave nothing behind.

``BPFPROBE_SIGNALS=300`` sends 300 of each; ``BPFPROBE_SIGNALS_SEED`` chooses other moments.
"""

from __future__ import annotations

import json
import os
import random
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.native.programs import Program, Worker, needs_uprobes
from tests.process_groups import no_process_of

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = needs_uprobes

ROOT = Path(__file__).parents[2]
TIMES = int(os.environ.get("BPFPROBE_SIGNALS", "13"))
SEED = int(os.environ.get("BPFPROBE_SIGNALS_SEED", "8"))
SIGNALS = [signal.SIGINT, signal.SIGTERM]
OURS = re.compile(r"bpfprobe/(?!__init__|__main__)")


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    (tmp_path / "program").mkdir()
    with Worker(Program.build(tmp_path / "program")) as worker:
        yield worker


def clean_environment(folder: Path, cache: str) -> dict[str, str]:
    folder.mkdir()
    return os.environ | {"TMPDIR": str(folder), "BPFPROBE_CACHE": cache}


def wait_for(pipe: int) -> None:
    """Wait for a byte: for the program to have seen the last signal."""
    assert select.select([pipe], [], [], 60)[0], "the signal was lost"
    assert os.read(pipe, 1) == b"!"


def commands(worker: Worker, folder: Path) -> list[list[str]]:
    hot, out = f"uprobe:{worker.program.path}:hot n=$arg1", folder / "hot.bpfo"
    trace = ["trace", "-p", str(worker.pid)]
    return [
        [*trace, hot],
        [*trace, "-U", hot, f"uretprobe:{worker.program.path}:text took=duration"],
        [*trace, "--follow", hot],
        ["trace", "--command", "sleep 60", "uprobe:c:nanosleep"],
        ["build", hot, "-o", str(out)],
        ["explain", "--stage", "render", hot],
        ["list", "-v", f"uprobe:{worker.program.path}:*"],
        ["cache", "list"],
        ["doctor"],
    ]


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("cache", ["off", "on"])
def test_commands_leave_no_process_folder_or_probe(
    worker: Worker, tmp_path: Path, number: signal.Signals, cache: str
) -> None:
    chance = random.Random(f"{SEED} {number} {cache}")
    kept = tmp_path / "cache"
    environment = clean_environment(tmp_path / "tmp", cache if cache == "off" else str(kept))
    out = tmp_path / "out"
    out.mkdir()
    asked = commands(worker, out)
    for time_ in range(TIMES):
        words = asked[time_ % len(asked)]
        started = subprocess.Popen(
            [sys.executable, "-m", "bpfprobe", *words], cwd=ROOT, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        time.sleep(chance.random() * 0.8)
        os.killpg(started.pid, number)
        _, complaint = started.communicate(timeout=60)
        assert no_process_of(started.pid), words
        if "Traceback" in complaint:  # Python is not ours until it has run its own start
            assert not OURS.search(complaint), complaint
        assert started.returncode in (0, 1, -number, 128 + number), complaint
    worker.await_probe("hot", there=False)
    assert list((tmp_path / "tmp").iterdir()) == []
    left = [path.name for path in kept.rglob("*") if path.is_file()] if kept.exists() else []
    assert [name for name in left if not re.match(r"(start|code|known|build)-", name)] == []
    assert [path.name for path in out.iterdir() if path.name != "hot.bpfo"] == []


LOOP = """
import gc, json, os, signal, sys, threading
import bpfprobe as bp
from tests.native.programs import kernel_things

path, pid, times = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])

def terminated(number, frame):
    raise SystemExit(143)

signal.signal(signal.SIGTERM, terminated)

def probes():
    return [
        bp.uprobe(path, "hot", pid=pid, n="$arg1", stack="ustack"),
        bp.uretprobe(path, "text", pid=pid, took="duration"),
    ]

def once(follow):
    with bp.Session(*probes(), follow=follow) as session:
        list(session.events(duration=0.01))

def descriptors():
    gc.collect()
    held = []
    for name in os.listdir("/proc/self/fd"):
        try:
            held.append(os.readlink("/proc/self/fd/" + name).split(":")[0])
        except FileNotFoundError:
            pass
    return sorted(held)

once(False), once(True)
before = descriptors()
caught, is_new = 0, True
while caught < times:
    try:
        while True:
            if is_new:
                is_new = False
                os.write(1, b"!")  # the next signal may come
            once(caught % 3 == 2)
    except (KeyboardInterrupt, SystemExit):
        caught, is_new = caught + 1, True
os.write(1, b"!")
after = descriptors()
print(json.dumps({
    "before": before, "after": after, "kernel": kernel_things(),
    "threads": threading.active_count(),
    "handlers": signal.getsignal(signal.SIGINT) is signal.default_int_handler
    and signal.getsignal(signal.SIGTERM) is terminated,
}))
"""


@pytest.mark.parametrize("cache", ["off", "on"])
def test_a_program_that_goes_on_holds_nothing(worker: Worker, tmp_path: Path, cache: str) -> None:
    chance = random.Random(f"{SEED} {cache}")
    environment = clean_environment(
        tmp_path / "tmp", cache if cache == "off" else str(tmp_path / "cache")
    )
    command = [sys.executable, "-c", LOOP, worker.program.path, str(worker.pid), str(2 * TIMES)]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, start_new_session=True
    ) as loop:
        assert loop.stdout is not None
        try:
            for time_ in range(2 * TIMES):
                wait_for(loop.stdout.fileno())
                time.sleep(0.003 + chance.random() * (0.4 if cache == "off" else 0.1))
                loop.send_signal(SIGNALS[time_ % 2])
            wait_for(loop.stdout.fileno())
            found = json.loads(loop.stdout.read())
        finally:
            loop.kill()  # a signal that was lost would leave it
    assert found["after"] == found["before"]
    assert (found["kernel"], found["threads"], found["handlers"]) == ([], 1, True)
    assert no_process_of(loop.pid)
    worker.await_probe("hot", there=False)
    assert list((tmp_path / "tmp").iterdir()) == []
