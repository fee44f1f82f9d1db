"""A session that is dropped without close leaves no descriptor, thread or program."""

from __future__ import annotations

import gc
import subprocess
import threading
import time
import warnings
from pathlib import Path

import pytest

import bpfprobe as bp
from tests.call_chains import write_program
from tests.native.programs import needs_uprobes

pytestmark = needs_uprobes


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.mark.parametrize("follow", [False, True])
def test_nothing_stays(tmp_path: Path, *, follow: bool) -> None:
    program = tmp_path / "chains"
    write_program(program)
    run_and_drop(program, follow=follow)  # what is opened once for the process is open then
    before = descriptors()
    for _ in range(7):
        run_and_drop(program, follow=follow)
    assert descriptors() == before


def run_and_drop(program: Path, *, follow: bool) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        session = bp.Session(
            bp.uprobe(str(program), "fa", stack="ustack"),
            bp.uretprobe(str(program), "fb", event="fb", took="duration"),
            follow=follow,
        )
        session.open()
        subprocess.run([program], check=True)
        assert next(session.events(duration=5)).probe in ("fa", "fb")
        del session
        gc.collect()
    assert [one.category for one in caught] == [ResourceWarning]
    _wait_for_threads()


def _wait_for_threads() -> None:
    deadline = time.monotonic() + 60
    while threading.active_count() > 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == 1
