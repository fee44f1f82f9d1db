"""Probes on the return of functions that end a process are named at the start, on real kernels."""

from __future__ import annotations

import subprocess

import pytest

import bpfprobe as bp

pytestmark = pytest.mark.guest(kernels=["5.10", "newest"], shares=True)


def test_returns_of_an_exit():
    told = []
    probes = [
        bp.kretprobe("do_exit"),
        bp.kretprobe("__x64_sys_exit_group", took="duration"),
        bp.kretprobe("do_task_dead"),
        bp.syscall("exit_group", retval="retval"),
    ]
    session = bp.Session(*probes)
    session.on_notice(lambda notice: told.append(notice.code))
    with session:
        for _ in range(23):
            subprocess.run(["true"], check=True)
        events = list(session.events(duration=0, last=True))
    assert events == []
    assert told == ["NEVER_RETURNS"] * len(probes)
