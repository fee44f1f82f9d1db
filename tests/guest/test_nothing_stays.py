"""Nothing stays in the kernel, however a tracer ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from remains import sleeping_target, state, state_once_it_is

pytestmark = pytest.mark.guest(
    kernels=["5.10", "6.1", "newest"], shares=True
)  # alike in those between

target = pytest.fixture(sleeping_target)

# A tracer of everything there is, of a process that sleeps and whose id it is given. It says when
# it is ready, with the number of a child that it forked if it was to fork one.
TRACER = """
import os, sys, time
import bpfprobe as bp
target = int(sys.argv[1])
probes = [
    bp.kprobe("__x64_sys_getpgid"),
    bp.kretprobe("__x64_sys_getsid", took="duration"),
    bp.uprobe("c", "getppid", pid=target, n="$arg1"),
    bp.uretprobe("c", "getsid", pid=target, n="$arg1"),
    bp.tracepoint("syscalls:sys_enter_getppid"),
    bp.syscall("setsid", retval="retval"),
]
with bp.Session(*probes) as session:
    for probe in probes:
        @session.on(probe)
        def saw(event):
            if "fail" in sys.argv:
                raise LookupError("as a callback may")
    child = os.fork() if "fork" in sys.argv else -1
    if child == 0:
        time.sleep(600)
    print(child, flush=True)
    session.run(max_events=1 if "leave" in sys.argv else None)
"""
ENDINGS = {
    "leaves": (["leave"], None, 0),
    "callback raises": (["fail"], None, 1),
    "interrupt": ([], signal.SIGINT, -signal.SIGINT),
    "terminate": ([], signal.SIGTERM, 128 + signal.SIGTERM),
    "crash": ([], signal.SIGSEGV, -signal.SIGSEGV),
    "kill": ([], signal.SIGKILL, -signal.SIGKILL),
    "kill while a forked child lives": (["fork"], signal.SIGKILL, -signal.SIGKILL),
    "terminate while a forked child lives": (["fork"], signal.SIGTERM, 128 + signal.SIGTERM),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_after(target, ending):
    arguments, number, status = ENDINGS[ending]
    before = state(target)
    assert before["kprobes"] == []
    command = [sys.executable, "-c", TRACER, str(target), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as tracer:
        try:
            child = int(tracer.stdout.readline())
            there = state(target)
            if number is None:
                os.getpgid(0)  # one event
            else:
                tracer.send_signal(number)
            assert tracer.wait(timeout=60) == status
        finally:
            tracer.kill()
    after = state_once_it_is(before, target)
    if child > 0:
        os.kill(child, signal.SIGKILL)  # which it has lived to see
    assert len(there["kprobes"]) == 5  # an entry, and two returns with their entries
    assert there["code"] == [b"\xcc", b"\xcc"]
    assert len(there["programs"]) == len(before["programs"]) + 9
    assert len(there["maps"]) > len(before["maps"])
    assert after == before
