"""Starts that were kept, on this kernel: the same events, and nothing that is stale."""

from __future__ import annotations

import ast
import ctypes
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import bpfprobe as bp
from bpfprobe import pipeline
from bpfprobe.engine.live import LiveEngine
from tests.native.programs import SOURCE, Program, Worker, needs_uprobes

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = needs_uprobes

ROOT = Path(__file__).parents[2]
ENTERED = [(1000 + i, -3) for i in range(23)]
CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 1 << 14, 1 << 18


@pytest.fixture
def program(tmp_path: Path) -> Program:
    made = Program.build(tmp_path)
    settle(Path(made.path))
    return made


def settle(path: Path) -> None:
    """Wait until a file is old enough to be told from one that is changed now."""
    while time.time_ns() - path.stat().st_ctime_ns < 50_000_000:
        time.sleep(0.01)


@pytest.fixture
def worker(program: Program) -> Iterator[Worker]:
    with Worker(program) as worker:
        yield worker


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BPFPROBE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "objects"


@pytest.fixture
def counts(cached: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How often all stages ran, and how often the compiler."""
    counted = {"described": 0, "compiled": 0}

    def counting(name: str, real: Any) -> Any:
        def call(*arguments: Any) -> Any:
            counted[name] += 1
            return real(*arguments)

        return call

    monkeypatch.setattr(pipeline, "describe", counting("described", pipeline.describe))
    monkeypatch.setattr(LiveEngine, "compile", counting("compiled", LiveEngine.compile))
    return counted


def hits(probe: bp.Probe, worker: Worker, **options: Any) -> list[tuple[int, int]]:
    """What 23 calls give. Nothing may be lost, nothing may be there twice."""
    with bp.Session(probe, **options) as session:
        worker.hot(23)
        events = sorted(session.events(duration=0), key=lambda event: event.time)
        statistics = session.statistics()
    assert (statistics.produced, statistics.delivered) == (len(events), len(events))
    return [(event.n, event.factor) for event in events]


def hot(path: str, **more: Any) -> bp.Probe:
    return bp.uprobe(path, "hot", n="$arg1", factor="$arg2:s32", **more)


def test_cold_and_warm_give_the_same(
    program: Program, worker: Worker, counts: dict[str, int]
) -> None:
    for _ in range(3):
        assert hits(hot(program.path), worker, pid=worker.pid) == ENTERED
    assert counts == {"described": 1, "compiled": 1}


@pytest.mark.parametrize("transport", ["ring", "perf"])
def test_a_return_with_what_it_keeps(
    program: Program, worker: Worker, counts: dict[str, int], transport: str
) -> None:
    probe = bp.uretprobe(program.path, "hot", n="$arg1", factor="$retval:s32", took="duration")
    for _ in range(2):
        returned = hits(probe, worker, pid=worker.pid, transport=transport)
        assert sorted(returned) == sorted((n, n * factor) for n, factor in ENTERED)
    assert counts == {"described": 1, "compiled": 1}


def test_another_process_and_another_threshold(
    program: Program, worker: Worker, counts: dict[str, int]
) -> None:
    with Worker(program) as other:
        for one in (worker, other, worker):
            assert hits(hot(program.path), one, pid=one.pid) == ENTERED
            assert hits(hot(program.path, pid=one.pid), one) == ENTERED
        assert counts == {"described": 2, "compiled": 2}
        assert hits(hot(program.path), other, pid=worker.pid) == []
    for number in (1007, 1013):
        probe = hot(program.path, filter=f"n >= {number}")
        assert hits(probe, worker, pid=worker.pid) == ENTERED[number - 1000 :]
    assert counts == {"described": 4, "compiled": 3}


def test_all_functions_that_fit_a_glob_in_one_process_after_another(
    program: Program, worker: Worker, counts: dict[str, int]
) -> None:
    with Worker(program) as other:
        for one, idle in ((worker, other), (other, worker)):
            probe = bp.uprobe(program.path, "h[o]?", n="$arg1:s64", factor="$arg2:s32", pid=one.pid)
            assert hits(probe, one) == ENTERED
            assert hits(probe, idle) == []
    assert counts == {"described": 1, "compiled": 1}


def test_a_process_that_runs_another_file(
    program: Program, worker: Worker, counts: dict[str, int]
) -> None:
    assert hits(hot(program.path, pid=worker.pid), worker) == ENTERED
    for pid, code in ((os.getpid(), "PID_NOT_MAPPED"), (1 << 22, "NO_PROCESS")):
        with pytest.raises(bp.SpecError) as caught:
            bp.Session(hot(program.path, pid=pid)).open()
        assert caught.value.code == code


def test_a_program_that_was_built_anew(
    program: Program, tmp_path: Path, counts: dict[str, int]
) -> None:
    """The function has moved, and the old place is in the middle of another one."""
    with Worker(program) as worker:
        assert hits(hot(program.path), worker, pid=worker.pid) == ENTERED
    before = program.file_offset("hot")
    pad = 'asm(".text\\n.skip 4096, 0x90");\n'
    source = tmp_path / "moved.c"
    source.write_text(SOURCE.replace("#define PROBED", pad + "#define PROBED", 1))
    subprocess.run(["gcc", "-O1", "-o", program.path, source], check=True)
    moved = Program(program.path)
    assert moved.file_offset("hot") != before
    with Worker(moved) as worker:
        assert hits(hot(program.path), worker, pid=worker.pid) == ENTERED
    assert counts == {"described": 2, "compiled": 1}


def test_a_program_that_changes_while_it_is_looked_at_is_not_kept(
    program: Program, worker: Worker, cached: Path, counts: dict[str, int]
) -> None:
    meanwhile = time.time() + 3600  # after the start has begun, however long that takes
    os.utime(program.path, (meanwhile, meanwhile))
    assert hits(hot(program.path), worker, pid=worker.pid) == ENTERED
    assert [path for path in cached.iterdir() if path.name.startswith("start-")] == []


WARM = """
import sys
import bpfprobe as bp
session = bp.Session(bp.uprobe({path!r}, "hot", n="$arg1", factor="$arg2:s32"), pid={pid})
session.open()
modules = sorted(sys.modules)
print("ready", flush=True)
sys.stdin.readline()
print(repr((modules, [event.n for event in session.events(duration=0)])), flush=True)
"""
NOT_IN_A_WARM_START = (
    "bpfprobe.parse", "bpfprobe.resolve", "bpfprobe.plan", "bpfprobe.render", "bpfprobe.pipeline",
    "bpfprobe.target.live", "bpfprobe.target.btf", "bpfprobe.target.elf",
    "bpfprobe.engine.compiler", "bpfprobe.engine.compiler_child",
    "bpfprobe.model.value", "bpfprobe.model.expression", "bpfprobe.cli", "bpfprobe.lab",
    "bcc", "numpy", "pyarrow", "argparse", "asyncio", "string", "subprocess", "json", "tempfile",
    "gzip", "difflib", "hashlib", "importlib.resources", "dataclasses", "inspect",
    "typing", "re", "pathlib",
)  # fmt: skip


def process_that_starts(worker: Worker) -> subprocess.Popen[str]:
    """A process that attaches, waits for a line, and prints its modules and its events."""
    code = WARM.format(path=worker.program.path, pid=worker.pid)
    return subprocess.Popen(
        [sys.executable, "-S", "-c", code],  # site imports what it needs itself, and so hides it
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def started(worker: Worker) -> tuple[list[str], list[int]]:
    """A process of its own, from its start to its events."""
    with process_that_starts(worker) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        worker.hot(23)
        output, _ = process.communicate("\n")
    modules, numbers = ast.literal_eval(output)
    return modules, numbers


@pytest.mark.usefixtures("cached")
def test_what_a_warm_start_imports(worker: Worker) -> None:
    cold, numbers = started(worker)
    assert numbers == [n for n, _ in ENTERED]
    assert {"bpfprobe.parse.builder", "bpfprobe.engine.compiler"} <= set(cold)
    warm, numbers = started(worker)
    assert numbers == [n for n, _ in ENTERED]
    bare = subprocess.run(
        [sys.executable, "-S", "-c", "import sys; print(*sys.modules)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    wrong = [
        module
        for module in set(warm) - set(bare.stdout.split())
        if any(module == name or module.startswith(f"{name}.") for name in NOT_IN_A_WARM_START)
    ]
    assert sorted(wrong) == []


def test_two_at_once_from_nothing(worker: Worker, cached: Path) -> None:
    processes = [process_that_starts(worker) for _ in range(2)]
    for process in processes:
        output, _ = process.communicate("\n")
        assert ast.literal_eval(output.removeprefix("ready\n"))[1] == []
        assert process.returncode == 0
    kinds = sorted(path.name.partition("-")[0] for path in cached.iterdir())
    assert kinds == ["code", "known", "start"]


def in_a_namespace(action: Any) -> int:
    """Run it in a child with mounts of its own; the status that it exits with."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            assert libc.unshare(CLONE_NEWNS) == 0
            assert libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) == 0
            action(libc)
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_full_disk_is_no_reason_to_fail(
    program: Program, worker: Worker, cached: Path, counts: dict[str, int]
) -> None:
    cached.mkdir(mode=0o700, parents=True)

    def full(libc: ctypes.CDLL) -> None:
        assert libc.mount(b"tmpfs", os.fsencode(cached), b"tmpfs", 0, b"size=4k,mode=700") == 0
        (cached / "filler").write_bytes(bytes(4096))
        for _ in range(2):
            assert hits(hot(program.path), worker, pid=worker.pid) == ENTERED
        assert counts["compiled"] == 2
        assert {path.name.partition("-")[0] for path in cached.iterdir()} <= {"filler", "known"}

    assert in_a_namespace(full) == 0


def test_a_read_only_disk_is_no_reason_to_fail(
    program: Program, worker: Worker, cached: Path, counts: dict[str, int]
) -> None:
    assert hits(hot(program.path), worker, pid=worker.pid) == ENTERED

    def read_only(libc: ctypes.CDLL) -> None:
        place = os.fsencode(cached)
        bind, remount, only_read = 1 << 12, 1 << 5, 1
        assert libc.mount(place, place, None, bind, None) == 0
        assert libc.mount(place, place, None, bind | remount | only_read, None) == 0
        assert hits(hot(program.path), worker, pid=worker.pid) == ENTERED
        assert counts["described"] == 1, "what is there can be used"
        changed = hot(program.path, filter="n >= 1013")
        assert hits(changed, worker, pid=worker.pid) == ENTERED[13:]

    assert in_a_namespace(read_only) == 0
