"""Texts that are captured and that a filter looks at as well, once or several times."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import pytest

import bpfprobe as bp
from tests.native.programs import needs_uprobes

pytestmark = needs_uprobes

PR_SET_NAME = 15
NAMES = [f"name-{n:02}-{'x' * (n % 7)}".encode() for n in range(23)]


@pytest.fixture(autouse=True)
def own_name():
    name = Path("/proc/self/comm").read_text()
    yield
    Path("/proc/self/comm").write_text(name)


def rename(name: bytes) -> None:
    assert ctypes.CDLL(None).prctl(PR_SET_NAME, name) == 0


@pytest.mark.parametrize(
    "filter",
    [
        'newcomm != "other"',
        'newcomm != "other" && newcomm ~ "name*"',
        '!(newcomm == "x" || newcomm ~ "-b*s?")',
        '!(oldcomm == "x" || newcomm ~ "-b*s?" || oldcomm ~ "?b*" || newcomm == "y")',
        '(oldcomm ~ "[m-o]*" || newcomm == "z") && (oldcomm ~ "*e-*" || newcomm ~ "*-*x?")',
    ],
)
@pytest.mark.parametrize("transport", ["ring", "perf"])
def test_they_are_whole(filter: str, transport: str) -> None:
    rename(b"name-first")
    probe = bp.tracepoint("task:task_rename", old="oldcomm", new="newcomm", filter=filter)
    with bp.Session(probe, pid=os.getpid(), transport=transport) as session:
        for name in NAMES:
            rename(name)
        found = [(event.old, event.new) for event in session.events(duration=0)]
    before = [b"name-first", *NAMES]
    assert found == [(a.decode(), b.decode()) for a, b in zip(before, NAMES, strict=False)]
