"""In a pid namespace, probes of the kernel keep the hits of the process that has a number there."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.guest(kernels=["5.10", "6.1", "newest"], shares=True)

INSIDE = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
TRACER = """
import json, os, subprocess, sys
import bpfprobe as bp

CALL = "import os, sys; [os.getpgid(0) for line in sys.stdin for n in range(int(line))]"
pid, found = os.getpid(), {}
probes = [
    bp.kprobe("__x64_sys_getpgid", stack="ustack"),
    bp.kretprobe("__x64_sys_getpgid", took="duration"),
    bp.tracepoint("syscalls:sys_enter_getpgid"),
]

def seen(**options):
    with bp.Session(*probes, **options) as session:
        for n in range(23):
            os.getpgid(0)
        subprocess.run([sys.executable, "-c", CALL], input=b"19\\n")
        print("outside", flush=True)
        sys.stdin.readline()
        events = list(session.events(duration=0, last=True))
        counts = {}
        for event in events:
            name = type(event)
            mine = counts.setdefault(name, [0, 0, 0])
            mine[0 if event.pid == pid else 1 if event.pid else 2] += 1
        mine = next(event for event in events if event.pid == pid and hasattr(event, "stack"))
        names = " ".join(map(str, session.frames(mine, "stack")))
    return list(counts.values()), "getpgid" in names, session.statistics().missed

found["pid"] = pid
found["own"] = seen(pid=pid)
found["tid"] = seen(tid=pid)
found["all"] = seen()
print(json.dumps(found))
"""


def test_hits_and_names(kernel):
    command = [*INSIDE, sys.executable, "-c", TRACER]
    with subprocess.Popen(
        command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as tracer:
        for _ in range(3):
            assert tracer.stdout.readline() == "outside\n"
            for _ in range(7):
                os.getpgid(0)
            tracer.stdin.write("hit\n")
            tracer.stdin.flush()
        found = json.loads(tracer.stdout.read())
    assert found["pid"] < 100, "the numbers of a namespace begin with 1"
    assert found["own"] == found["tid"] == [[[23, 0, 0]] * 3, True, 0]
    counts, is_named, missed = found["all"]
    assert (is_named, missed) == (True, 0)
    for mine, children, outside in counts:
        assert (mine, children) == (23, 19)
        assert outside >= 7, "and what else the system calls"


def test_commands_that_are_traced():
    call = "import os\nfor n in range(23): os.getpgid(0)"
    words = [sys.executable, "-m", "bpfprobe", "trace", "--json", "kprobe:__x64_sys_getpgid"]
    done = subprocess.run(
        [*INSIDE, *words, "--command", f"{sys.executable} -c '{call}'"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == 23
    assert len({row["pid"] for row in rows}) == 1
