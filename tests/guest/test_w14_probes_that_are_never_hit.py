"""What a trace says at its end of kprobes that were switched off, and of probes never hit."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

import bpfprobe as bp

ENABLED = Path("/sys/kernel/debug/kprobes/enabled")
FTRACE = Path("/proc/sys/kernel/ftrace_enabled")

pytestmark = pytest.mark.guest(kernels=["5.10", "6.1", "newest"])


def trace(*words: str) -> list[str]:
    """What it says beside its events."""
    command = [sys.executable, "-m", "bpfprobe", "trace", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stderr.splitlines()


def calls(probe: bp.Probe, times: int) -> int:
    with bp.Session(probe, pid=os.getpid()) as session:
        for _ in range(times):
            os.getpgid(0)
        assert not session.never_hit()
        return len(list(session.events(duration=0, last=True)))


def test_switched_off_before_a_start_that_was_kept():
    """Of a system call the tracepoint takes over."""
    probe, by_call = bp.kprobe("__x64_sys_getpgid"), bp.syscall("getpgid")
    for _ in range(2):
        assert (calls(probe, 23), calls(by_call, 23)) == (23, 23)
    for switch, way_out in ((ENABLED, "echo 1 >"), (FTRACE, "sysctl kernel.ftrace_enabled=1")):
        try:
            switch.write_text("0")
        except OSError as error:  # ftrace of 7.3 cannot be switched off
            if (switch, error.errno) != (FTRACE, errno.EOPNOTSUPP):
                raise
            continue
        with pytest.raises(bp.AttachError) as caught, bp.Session(probe):
            pass
        assert caught.value.code == "NO_KPROBES"
        assert "kprobes are switched off" in caught.value.message
        assert way_out in caught.value.hint
        assert calls(by_call, 23) == 23
        switch.write_text("1")
    assert (calls(probe, 23), calls(by_call, 23)) == (23, 23)


def test_switched_off_while_it_runs_and_never_reached():
    opened, hit = bp.kprobe("do_sys_open"), bp.kprobe("__x64_sys_getpgid")
    with bp.Session(opened, hit, pid=os.getpid()) as session:
        Path("/etc/hostname").read_text()
        os.getpgid(0)
        (unhit,) = session.never_hit()
        assert "do_sys_openat2 since Linux 5.6" in str(unhit)
        assert len(list(session.events(duration=0))) == 1
    with bp.Session(hit) as session:
        ENABLED.write_text("0")
        os.getpgid(0)
        (unhit,) = session.never_hit()
        ENABLED.write_text("1")
    assert str(unhit).endswith(f"was never hit: kprobes are switched off ({ENABLED} is 0)")
    said = trace("-d", "0.2", "p:one do_sys_open", "p:two vfs_read if count == 77777777")
    assert said[0] == "bpfprobe: 0 of 0 events delivered"
    assert "bpfprobe: two had no hit that its filter let through" in said
    assert any(line.startswith("bpfprobe: one was never hit: the system") for line in said)
