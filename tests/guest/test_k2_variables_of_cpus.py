"""The current task and the variables of its CPU are read right on every kernel."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import bpfprobe as bp


@pytest.mark.guest(kernels=["5.10", "6.1", "newest"])
def test_the_current_task_and_the_variables_of_its_cpu() -> None:
    (address,) = (
        int(line.split()[0], 16)
        for line in Path("/proc/kallsyms").read_text().splitlines()
        if line.split()[2:] == ["this_cpu_off"]
    )
    probe = bp.kprobe(
        "vfs_read",
        filter=f"$pid == {os.getpid()}",
        captures={
            "task": "$current:x64",
            "id": "$current->pid",
            "cast_id": "(task_struct)$current->pid",
            "parent": "$current->real_parent->tgid",
            "place": "this_cpu_ptr(@this_cpu_off):x64",
            "after": "this_cpu_ptr(@this_cpu_off+8):x64",
            "distance": "this_cpu_read(@this_cpu_off):x64",
            "same": "+0(this_cpu_ptr(@this_cpu_off)):x64",
            "queue_of": "(rq)this_cpu_ptr(@runqueues)->cpu:s32",
            "running": "(rq)this_cpu_ptr(@runqueues)->curr->pid:s32",
        },
    )
    with bp.Session(probe) as session:
        for _ in range(23):
            Path("/etc/hostname").read_bytes()
        events = list(session.events(duration=0.5))
    assert len(events) >= 23
    for event in events:
        assert not event.faults
        assert (event.id, event.cast_id, event.running) == (event.tid,) * 3
        assert event.parent == os.getppid()
        assert event.queue_of == event.cpu
        assert event.place == (address + event.distance) % (1 << 64)
        assert event.after == event.place + 8
        assert event.same == event.distance
    assert len({event.task for event in events if event.tid == os.getpid()}) == 1
