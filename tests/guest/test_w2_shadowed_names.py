"""A name is the argument's first, ``$NAME`` the builtin, also where both are there."""

from __future__ import annotations

import os
import subprocess

import pytest

import bpfprobe as bp

COUNT = 23


@pytest.mark.guest(kernels=["5.10", "6.1", "newest"], timeout_s=180)
def test_arguments_and_fields_that_are_called_like_builtins(tmp_path):
    path = tmp_path / "owned"
    path.touch()
    probes = {
        "chown": bp.probe("kprobe:security_path_chown uid gid $uid $gid"),
        "affinity": bp.probe("kretprobe:sched_setaffinity pid x=$pid retval if pid != $pid"),
        "setuid": bp.probe("syscall:setfsuid uid own=$uid"),
        "exit": bp.probe("tracepoint:sched:sched_process_exit pid comm p=$pid t=args.pid"),
    }
    seen = {name: [] for name in probes}
    others = []
    with bp.Session(*probes.values()) as session:
        for name, probe in probes.items():
            session.on(probe)(seen[name].append)
        sleeper = subprocess.Popen(["sleep", "30"])
        for _ in range(COUNT):
            os.chown(path, 5, 6)
            os.sched_setaffinity(sleeper.pid, {0, 1})
        for _ in range(3):
            others.append(subprocess.Popen(["true"]))
            others[-1].wait()
        sleeper.kill()
        sleeper.wait()
        session.run(duration=3)
    mine = [event for event in seen["chown"] if event.pid == os.getpid()]
    assert [tuple(event)[-4:] for event in mine] == [(5, 6, 0, 0)] * COUNT
    moved = [event for event in seen["affinity"] if event.x == os.getpid()]
    assert {(event.pid, event._pid) for event in moved} == {(sleeper.pid, os.getpid())}
    assert len(moved) == COUNT
    ended = {event.pid: event for event in seen["exit"]}
    for process in others:
        event = ended[process.pid]
        assert (event.comm, event.p, event.t) == ("true", process.pid, process.pid)
        assert event._comm == "true"
