"""A tracer in a pid namespace of its own finds processes by the numbers that they have there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.native.programs import Program, Worker, needs_uprobes

pytestmark = needs_uprobes

ROOT = Path(__file__).parents[2]
INSIDE = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]

# With a program, and one process of it outside: what sessions in the namespace see of either.
TRACER = """
import json, subprocess, sys
import bpfprobe as bp
from bpfprobe.errors import BpfprobeError
from tests.native.programs import Program, Worker

path, found = sys.argv[1], {}

def seen(probe, hit, **options):
    with bp.Session(probe, **options) as session:
        hit()
        events = list(session.events(duration=0, last=True))
        names = [str(session.frames(event, "ustack")[0]) for event in events[:1]]
        return [(event.pid, event.tid) for event in events], [n.split("+")[0] for n in names]

def refusal(**options):
    try:
        bp.Session(bp.uprobe(path, "hot"), **options).open()
    except BpfprobeError as error:
        return error.code
    return "opened"

with Worker(Program(path)) as one, Worker(Program(path)) as other:
    both = lambda: (one.hot(23), other.hot(19))
    entry = bp.uprobe(path, "hot", ustack="ustack")
    left = bp.uretprobe(path, "text", ustack="ustack", took="duration")
    found["pids"] = one.pid, other.pid
    found["pid"] = [seen(entry, both, pid=one.pid, transport=kind) for kind in ("ring", "perf")]
    found["kept"] = seen(entry, both, pid=other.pid)
    found["tid"] = seen(entry, both, tid=one.pid)
    found["not_pid"] = seen(entry, both, not_pid=one.pid)
    of_one = bp.uprobe(path, "hot", ustack="ustack", filter=f"pid == {one.pid}")
    found["filter"] = seen(of_one, both)
    texts = lambda: (one.text(*[b"x"] * 7), other.text(b"y"))
    found["return"] = seen(left, texts, pid=one.pid)
    with bp.Session(entry, pid=one.pid) as session:
        session.update(pid=other.pid)
        both()
        found["updated"] = [event.pid for event in session.events(duration=0, last=True)]
    with bp.Session(entry) as session:
        print("outside", flush=True)
        sys.stdin.readline()
        found["outside"] = [event.pid for event in session.events(duration=0, last=True)]
    deeper = subprocess.Popen(["unshare", "-pf", "--kill-child", "sh", "-c", "echo; sleep 600"],
                              stdout=subprocess.PIPE)
    deeper.stdout.readline()
    child = int(open(f"/proc/{deeper.pid}/task/{deeper.pid}/children").read())
    found["deeper"] = [refusal(pid=child), refusal(tid=child), refusal(not_pid=child)]
    try:
        bp.Session(bp.uprobe(path, "hot", parent="ppid")).open()
    except BpfprobeError as error:
        found["ppid"] = error.code
    deeper.kill()
print(json.dumps(found))
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return os.environ | {"BPFPROBE_CACHE": str(tmp_path / "cache")}


def test_processes_have_the_numbers_of_the_namespace(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    program = Program.build(tmp_path)
    command = [*INSIDE, sys.executable, "-c", TRACER, program.path]
    with (
        Worker(program) as outsider,
        subprocess.Popen(
            command, cwd=ROOT, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        ) as tracer,
    ):  # fmt: skip
        assert tracer.stdout is not None
        assert tracer.stdout.readline() == "outside\n"
        outsider.hot(3)
        output, _ = tracer.communicate("hit\n")
    found: dict[str, Any] = json.loads(output)
    one, other = found["pids"]
    assert one != outsider.pid
    assert found["pid"] == [[[[one, one]] * 23, ["hot"]]] * 2
    assert found["kept"] == [[[other, other]] * 19, ["hot"]]
    assert found["tid"] == found["filter"] == found["pid"][0]
    assert found["not_pid"] == [[[other, other]] * 19, ["hot"]]
    assert found["return"][0] == [[one, one]] * 7
    assert found["updated"] == [other] * 19
    assert found["outside"] == [0] * 3, "as getppid(2) has it for a parent outside"
    assert found["deeper"] == ["OTHER_PID_NAMESPACE"] * 3
    assert found["ppid"] == "PPID_NAMESPACE"


def trace(environment: dict[str, str], inside: list[str], *words: str) -> tuple[str, str, int]:
    done = subprocess.run(
        [*inside, sys.executable, "-m", "bpfprobe", "trace", *words],
        cwd=ROOT, env=environment, text=True, capture_output=True, timeout=120,
    )  # fmt: skip
    return done.stdout, done.stderr, done.returncode


def test_a_command_is_traced(environment: dict[str, str]) -> None:
    call = "import os\nfor n in range(23): os.getpgid(0)"
    command = f"{sys.executable} -c '{call}'"
    out, complaint, status = trace(
        environment, INSIDE, "--json", "--command", command, "uprobe:c:getpgid"
    )
    assert status == 0, complaint
    pids = {json.loads(line)["pid"] for line in out.splitlines()}
    assert len(out.splitlines()) == 23
    assert len(pids) == 1
    assert pids < set(range(1, 100)), "the numbers of a namespace begin with 1"


def test_a_proc_of_another_namespace_is_refused(environment: dict[str, str]) -> None:
    inside = INSIDE[:-1]
    _, complaint, status = trace(environment, inside, "-p", "1", "uprobe:c:getpgid")
    assert status == 1
    assert "[OTHER_PROC]" in complaint
    assert "mount -t proc proc /proc" in complaint
