"""All that a tracer could leave in a kernel."""

from __future__ import annotations

import ctypes
import subprocess
import time
from pathlib import Path

from bpfprobe.engine.syscalls import Kernel

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


def state_once_it_is(expected, target):
    """The state, waited for: the kernel frees in its own time."""
    deadline = time.monotonic() + 30
    while (found := state(target)) != expected and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def sleeping_target():
    """A process that sleeps, with libc mapped."""
    process = subprocess.Popen(["sleep", "600"])
    while "libc.so.6" not in Path(f"/proc/{process.pid}/maps").read_text():
        time.sleep(0.05)
    yield process.pid
    process.kill()
    process.wait()
