from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from bpfprobe.target.event_files import EventFiles
from bpfprobe.target.processes import Processes
from bpfprobe.target.stale import judge
from tests.tracing_root import add_process, make_root

if TYPE_CHECKING:
    from pathlib import Path

PERF = "anon_inode:[perf_event]"
BOOTED = 1_000_000_000  # seconds ago, in proc/uptime of the folder
LATER = 2.0 * BOOTED  # a process that starts after everything here


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_root(tmp_path)


@pytest.mark.parametrize(
    ("process", "ended"),
    [
        ({"pid": 77}, True),
        ({"pid": 99}, False),
        ({"pid": 4000, "ids": "4000 99"}, False),  # in a container
        ({"pid": 990}, True),
        ({"pid": 99, "state": "Z (zombie)"}, True),
        ({"pid": 99, "state": "Z (zombie)", "threads": 2}, False),  # its main thread alone ended
        ({"pid": 99, "started_s": LATER}, True),  # the id is used again
        ({"pid": 99, "started_s": LATER, "holds": PERF}, False),
        ({"pid": 99, "started_s": BOOTED - 1.0}, False),  # before the event was made
    ],
)
def test_who_lives(root: Path, process: dict[str, Any], ended: bool) -> None:
    add_process(root, **process)
    life = Processes(root).life(99, time.time())
    assert life.ended is ended
    assert ("has ended" in life.evidence) is ended


def test_a_younger_process_counts_as_the_maker_where_the_event_has_no_time(root: Path) -> None:
    add_process(root, 99, started_s=LATER)
    assert Processes(root).life(99, None).ended is False


def test_in_a_pid_namespace_nothing_can_be_told(root: Path) -> None:
    (root / "proc/self/ns/pid").unlink()
    (root / "proc/self/ns/pid").symlink_to("pid:[4026532001]")
    assert Processes(root).life(99, None).ended is None


def test_only_events_named_as_those_of_bcc_are_judged(root: Path) -> None:
    add_process(root, 100)
    verdicts = {str(v.event): v.stale for v in judge(EventFiles(root), Processes(root))}
    assert verdicts == {
        "kprobes/r_vfs_read_bcc_99": True,
        "kprobes/p_vfs_open_bcc_100": False,
        "uprobes/p__bin_sh_0x5000_bcc_99": True,
    }
