"""A stack at a function's first instruction has the immediate caller, on every kernel."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import bpfprobe as bp
from tests.call_chains import check_chains

pytestmark = pytest.mark.guest(kernels=["5.10", "6.1", "newest"])


def test_the_stack_at_entry_is_that_at_return(tmp_path: Path) -> None:
    check_chains(tmp_path)


def test_a_kernel_function_has_its_caller_in_kstack() -> None:
    entry = bp.kprobe("vfs_read", event="entry", s="kstack", filter=f"pid == {os.getpid()}")
    with bp.Session(entry) as session:
        for _ in range(23):
            Path("/etc/hostname").read_bytes()
        events = list(session.events(duration=0.5))
        frames = [session.frames(event, "s") or () for event in events]
    assert len(events) >= 23
    for each in frames:
        assert [str(frame).partition("+")[0] for frame in each[:2]] == ["vfs_read", "ksys_read"]
