"""Starts that were kept, where kernel functions can be probed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

import bpfprobe as bp
from bpfprobe import pipeline
from bpfprobe.store.folder import folder_path, opened_folder

pytestmark = pytest.mark.guest(kernels=["5.10", "6.1", "newest"])  # alike in those between

OPENED = bp.kretprobe(
    "do_sys_openat2", path="filename:ustring", n="dfd", fd="$retval:s32", filter='path ~ "/tmp/a*"'
)
NAMES = [f"/tmp/a{number}" for number in range(23)]


def opened(probe: bp.Probe) -> list[str]:
    with bp.Session(probe, pid=os.getpid()) as session:
        for name in NAMES:
            Path(name).write_text("")
        events = list(session.events(duration=0))
        assert session.statistics().delivered == len(events)
    return [event.path for event in events]


def test_a_kernel_function(monkeypatch: pytest.MonkeyPatch) -> None:
    assert folder_path() == "/var/cache/bpfprobe/objects", "as a user has it"
    assert opened(OPENED) == NAMES
    with opened_folder() as folder:
        assert folder is not None
        assert any(entry.name.startswith("start-") for entry in folder.entries())

    def described(*_: object) -> None:
        raise AssertionError("what was kept does not hold")

    monkeypatch.setattr(pipeline, "describe", described)
    assert opened(OPENED) == NAMES


@pytest.fixture
def described(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """One for each time that all stages ran."""
    seen: list[object] = []
    describe = pipeline.describe

    def counting(*arguments: object) -> object:
        seen.append(arguments)
        return describe(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(pipeline, "describe", counting)
    return seen


def load_dummy() -> None:
    (path,) = Path("/run/bpfprobe/modules").glob("*-dummy.ko")
    subprocess.run(["insmod", path], check=True)


def links_made(probe: bp.Probe, first: int) -> int:
    """How often the module was asked about 7 network devices of its kind."""
    with bp.Session(probe) as session:
        for number in range(first, first + 7):
            subprocess.run(["ip", "link", "add", f"d{number}", "type", "dummy"], check=True)
        events = list(session.events(duration=0))
    for number in range(first, first + 7):
        subprocess.run(["ip", "link", "delete", f"d{number}"], check=True)
    return len(events)


def test_a_module_that_is_loaded_makes_all_look_again(described: list[object]) -> None:
    """Its functions may have the names of those that were found."""
    for _ in range(2):
        assert opened(OPENED) == NAMES
    assert len(described) == 1
    load_dummy()
    assert opened(OPENED) == NAMES
    assert len(described) == 2


def test_a_module_that_was_loaded_anew_is_another_one(described: list[object]) -> None:
    probe = bp.kprobe("dummy:dummy_validate", comm=False)
    load_dummy()
    count = links_made(probe, 10)
    assert count >= 7
    assert links_made(probe, 20) == count
    assert len(described) == 1
    subprocess.run(["rmmod", "dummy"], check=True)
    load_dummy()
    assert links_made(probe, 30) == count
    assert len(described) == 2
