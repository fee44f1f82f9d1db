"""A session that follows: what it does about losses and errors, and that nothing of it stays."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import bpfprobe as bp
from bpfprobe.engine.live import LiveEngine
from bpfprobe.engine.process_watch import AT_ONCE, ProcessWatch
from bpfprobe.model.mapping import RecordsLost
from tests.native.following import TIMES, VALUES, Host, build_plugin, plug, until, values
from tests.native.programs import kernel_things, needs_uprobes

if TYPE_CHECKING:
    from bpfprobe.model.mapping import ProcessRecord

pytestmark = needs_uprobes


class Forgetful(LiveEngine):
    """An engine whose watch drops what it is told, and says so."""

    def watch_processes(self) -> ProcessWatch:
        watch = super().watch_processes()
        wait = watch.wait

        def lossy() -> list[ProcessRecord]:
            dropped = len(wait())
            return [RecordsLost(dropped)] if dropped else []

        watch.wait = lossy  # type: ignore[method-assign]  # it stands for a buffer that is too small
        return watch


@pytest.mark.parametrize("by_pid", [False, True])
def test_what_was_lost_is_looked_up(host: Host, tmp_path: Path, by_pid: bool) -> None:
    path, told = tmp_path / "plugin.so", set[str]()
    probe = plug(path, pid=host.pid if by_pid else None)
    session = bp.Session(probe, follow=True, engine=Forgetful())
    session.on_notice(lambda notice: told.add(notice.code))
    with session:
        build_plugin(path)
        host("fork", f"load {path}")
        until(session.places)
        host(f"call {TIMES}")
        assert values(session) == VALUES
        child = host.child if by_pid else None
        assert [place.pid for place in session.places()] == [child]
        host("quit")
    assert told == {"WAITS", "LOST", "FOLLOWED"}


def test_a_buffer_that_is_too_small_says_so(host_path: Path) -> None:
    watch, lost = ProcessWatch(buffer_bytes=4096, wakeup_bytes=AT_ONCE), 0
    cpus = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cpus)})  # of each CPU the kernel tells with its next record
    try:
        for _ in range(97):
            subprocess.run([host_path], stdin=subprocess.DEVNULL, check=True)
        for _ in range(7):  # the kernel tells with a record that comes after, and has room
            subprocess.run([host_path], stdin=subprocess.DEVNULL, check=True)
            lost += sum(one.count for one in watch.take() if isinstance(one, RecordsLost))
    finally:
        os.sched_setaffinity(0, cpus)
        watch.close()
    assert lost > 97


def test_what_a_notice_raises_comes_out_of_the_iteration(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "plugin.so"

    def refuse(notice: bp.Notice) -> None:
        if notice.code == "FOLLOWED":
            raise RuntimeError(str(notice))

    session = bp.Session(plug(path), follow=True)
    session.on_notice(refuse)
    with session:
        build_plugin(path)
        host(f"load {path}")
        with pytest.raises(RuntimeError, match=r"plug goes to .*plugin.so \(1 place\)"):
            next(iter(session))
    assert kernel_things() == []


def test_sessions_leave_nothing(host: Host, tmp_path: Path) -> None:
    path = build_plugin(tmp_path / "plugin.so")
    host(f"load {path}")

    def held() -> tuple[int, list[str], int]:
        descriptors = len(list(Path("/proc/self/fd").iterdir()))
        return descriptors, kernel_things(), threading.active_count()

    with bp.Session(plug(path), follow=True):
        pass
    before = held()
    for _ in range(3):
        with bp.Session(plug(path, pid=host.pid), follow=True) as session:
            host(f"call {TIMES}")
            assert values(session) == VALUES
    with pytest.raises(bp.SpecError):
        bp.Session(bp.uprobe(str(path), "no_such"), follow=True).open()
    assert held() == before


TRACE = [sys.executable, "-m", "bpfprobe", "trace"]


def test_the_command_tells_what_it_waits_for_and_dies_clean(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "plugin.so"
    spec = f"uprobe:{path}:plug n=$arg1:s64"
    tracer = subprocess.Popen(
        [*TRACE, "--follow", "-p", str(host.pid), spec],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    assert tracer.stdout is not None
    assert tracer.stderr is not None
    try:
        assert (
            tracer.stderr.readline() == f"bpfprobe: plug waits for {path} in process {host.pid}\n"
        )
        assert tracer.stdout.readline().split() == ["PID", "COMM", "N"]
        build_plugin(path)
        host("fork", f"load {path}")
        line = f"bpfprobe: plug goes to {path} of process {host.child} (1 place)\n"
        assert tracer.stderr.readline() == line
        host(f"call {TIMES}")
        rows = [tracer.stdout.readline().split() for _ in range(TIMES)]
        assert rows == [[str(host.child), "host", str(n)] for n, _ in VALUES]
        assert is_probed(host.child, path)
    finally:
        tracer.kill()
        tracer.communicate()
    until(lambda: not is_probed(host.child, path))


def is_probed(pid: int, path: Path) -> bool:
    """Whether a breakpoint stands in the memory that a process has of the plug-in's code."""
    code = path.read_bytes()
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        where, access, offset, *_, name = line.split()
        if name == str(path) and "x" in access:
            start, end = (int(part, 16) for part in where.split("-"))
            with open(f"/proc/{pid}/mem", "rb") as memory:
                memory.seek(start)
                now = memory.read(end - start)
            return now[: len(code) - int(offset, 16)] != code[int(offset, 16) :][: end - start]
    raise AssertionError(f"{path} is not mapped")


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--follow", "-c", "true", "uprobe:c:malloc"], "SESSION"),
        (["--follow", "tracepoint:sched:sched_switch"], "FOLLOW_NOTHING"),
        (["--follow", "-p", "PID", "uprobe:HOST:main", "syscall:openat"], "FOLLOW_MIXED"),
        (["--follow", "uprobe:/no/such/plugin.so:pl* func"], "FOLLOW_SHAPE"),
    ],
)
def test_what_cannot_be_followed(host: Host, options: list[str], code: str) -> None:
    exe = os.path.realpath(f"/proc/{host.pid}/exe")
    words = [word.replace("PID", str(host.pid)).replace("HOST", exe) for word in options]
    done = subprocess.run([*TRACE, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"[{code}]" in done.stderr
    assert done.stdout == ""
