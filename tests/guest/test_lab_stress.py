"""Whether kprobe tests in this lab can be trusted: the kernel's text patched under load."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

TRACEFS = Path("/sys/kernel/tracing")
SECONDS = float(os.environ.get("BPFPROBE_STRESS_SECONDS", "8"))
DEFINITIONS = "p:stress_entry vfs_read\nr:stress_return do_sys_openat2\n"


def read_files_for_ever():
    while True:
        for path in ("/etc/passwd", "/proc/self/stat", "/usr/bin/true"):
            with open(path, "rb") as file:
                file.read()


@pytest.mark.guest(timeout_s=SECONDS + 120)
def test_kprobes_switched_on_and_off_while_processes_hit_them():
    readers = []
    for _ in range(2):
        pid = os.fork()
        if pid == 0:
            read_files_for_ever()
        readers.append(pid)
    (TRACEFS / "kprobe_events").write_text(DEFINITIONS)
    switch = TRACEFS / "events" / "kprobes" / "enable"
    toggles = 0
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        switch.write_text("1")
        switch.write_text("0")
        toggles += 1
    (TRACEFS / "kprobe_events").write_text("")
    for pid in readers:
        assert os.waitpid(pid, os.WNOHANG) == (0, 0), "a reader died"
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert toggles >= 3
