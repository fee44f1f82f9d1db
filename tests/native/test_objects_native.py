"""An object of a file, on this kernel, in a process that can have no compiler."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import bpfprobe as bp
from tests.native.programs import Program, Worker, needs_uprobes

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = needs_uprobes

ROOT = Path(__file__).parents[2]
ENTERED = [f"{1000 + i} -3" for i in range(23)]

# What is loaded, and what is started, is told to the hook before it happens.
GUARDED = """
import sys
def forbid(event, arguments):
    if event == "ctypes.dlopen" and "bcc" in str(arguments[0]):
        raise RuntimeError("libbcc was loaded")
    if event in ("subprocess.Popen", "os.posix_spawn", "os.fork", "os.exec"):
        raise RuntimeError("a process was started")
    if event == "import" and arguments[0].partition(".")[0] == "bcc":
        raise RuntimeError("bcc was imported")
sys.addaudithook(forbid)
from bpfprobe.cli.main import main
main(sys.argv[1:])
"""


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program.build(tmp_path)


@pytest.fixture
def worker(program: Program) -> Iterator[Worker]:
    with Worker(program) as worker:
        yield worker


def command(*words: str, library_path: str = "") -> list[str]:
    return ["env", f"LD_LIBRARY_PATH={library_path}", sys.executable, "-c", GUARDED, *words]


def test_it_runs_where_no_compiler_can_be_loaded(
    program: Program, worker: Worker, tmp_path: Path
) -> None:
    spec = f"uprobe:{program.path}:hot n=$arg1:s64 factor=$arg2:s32"
    object_file = str(tmp_path / "hot.bpfo")
    build = [sys.executable, "-m", "bpfprobe", "build", spec, "-o", object_file]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    broken = tmp_path / "lib"
    broken.mkdir()
    (broken / "libbcc.so.0").write_text("no library")
    options = ("-p", str(worker.pid), "--max-events", "23", "--duration", "60")
    with subprocess.Popen(
        command("trace", object_file, *options, library_path=str(broken)),
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as tracer:  # fmt: skip
        assert tracer.stdout is not None
        header = tracer.stdout.readline()  # it is there when the probes are
        worker.hot(23)
        output, complaints = tracer.communicate()
    assert tracer.returncode == 0, complaints
    rows = output.splitlines()
    assert header.split()[-2:] == ["N", "FACTOR"]
    assert [" ".join(row.split()[-2:]) for row in rows] == ENTERED
    assert complaints == "bpfprobe: 23 of 23 events delivered\n"


def test_without_an_object_the_same_process_would_compile(
    program: Program, worker: Worker, tmp_path: Path
) -> None:
    """So the test above could fail."""
    spec = f"uprobe:{program.path}:hot n=$arg1"
    done = subprocess.run(
        command("trace", spec, "-p", str(worker.pid), "--duration", "1"),
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "a process was started" in done.stderr


def test_a_return_of_two_processes_in_turn(
    program: Program, worker: Worker, tmp_path: Path
) -> None:
    object_file = str(tmp_path / "hot.bpfo")
    spec = f"uretprobe:{program.path}:hot n=$arg1 result=$retval:s32 took=duration"
    build = [sys.executable, "-m", "bpfprobe", "build", spec, "-o", object_file]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    with Worker(program) as other:
        for one in (worker, other):
            with bp.Session.from_file(object_file, pid=one.pid) as session:
                worker.hot(23)
                other.hot(23)
                events = list(session.events(duration=0))
            assert {event.pid for event in events} == {one.pid}
            assert sorted((e.n, e.result) for e in events) == [
                (1000 + i, -3 * (1000 + i)) for i in range(23)
            ]
            assert all(event.took > 0 for event in events)
