"""Nothing stays in the kernel, however a tracer ends."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bpfprobe.engine.syscalls import Kernel

pytestmark = pytest.mark.guest(
    kernels=["5.10", "6.1", "newest"], shares=True
)  # alike in those between

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
TRACEFS = Path("/sys/kernel/tracing")
PROGRAMS, MAPS, LINKS = 11, 12, 31  # BPF_PROG_GET_NEXT_ID and its likes


def objects(command):
    """The ids of all objects of a kind."""
    found, attr = [], (ctypes.c_uint32 * 4)()
    try:
        while True:
            Kernel().bpf(command, attr)
            found.append(attr[1])
            attr[0] = attr[1]
    except OSError:
        return found


def code_at(pid, function):
    """The first byte of a function of libc in another process."""
    here = ctypes.cast(getattr(ctypes.CDLL(None), function), ctypes.c_void_p).value
    with open(f"/proc/{pid}/mem", "rb") as memory:
        memory.seek(start_of_libc(pid) + here - start_of_libc("self"))
        return memory.read(1)


def start_of_libc(pid):
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    return next(int(line.split("-")[0], 16) for line in lines if "libc.so.6" in line)


def state(target):
    """All that a tracer could have left."""
    armed = Path("/sys/kernel/debug/kprobes/list").read_text().splitlines()
    return {
        "kprobes": sorted(line.split()[2] for line in armed),
        "code": [code_at(target, name) for name in ("getppid", "getsid")],
        "programs": objects(PROGRAMS),
        "maps": objects(MAPS),
        "links": objects(LINKS),
        "events": [(TRACEFS / f"{kind}_events").read_text() for kind in ("kprobe", "uprobe")],
    }


@pytest.fixture
def target():
    """A process that sleeps, with libc mapped."""
    process = subprocess.Popen(["sleep", "600"])
    while "libc.so.6" not in Path(f"/proc/{process.pid}/maps").read_text():
        time.sleep(0.05)
    yield process.pid
    process.kill()
    process.wait()


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
    deadline = time.monotonic() + 30  # the kernel frees in its own time
    while (after := state(target)) != before and time.monotonic() < deadline:
        time.sleep(0.1)
    if child > 0:
        os.kill(child, signal.SIGKILL)  # which it has lived to see
    assert len(there["kprobes"]) == 5  # an entry, and two returns with their entries
    assert there["code"] == [b"\xcc", b"\xcc"]
    assert len(there["programs"]) == len(before["programs"]) + 9
    assert len(there["maps"]) > len(before["maps"])
    assert after == before
