"""Shared objects, files of other mount namespaces, and what a hundred probes leave behind."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import bpfprobe as bp
from bpfprobe.target.other_files import other_files
from tests.native.programs import Program, Worker, hot, kernel_things, needs_uprobes

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = needs_uprobes

ENTERED = [(1000 + n, -3) for n in range(23)]
LIBRARY = """
static __attribute__((noinline)) long hidden(long n) { __asm__ volatile(""); return 2 * n; }
long sell(long n) { return hidden(n) + 1; }
"""
CALLER = """
#include <unistd.h>
long sell(long n);
int main(void)
{
    char go;
    while (read(0, &go, 1) == 1) {
        for (long i = 0; i < 23; i++)
            sell(i);
        if (write(1, "k", 1) != 1)
            return 1;
    }
    return 0;
}
"""


@pytest.fixture
def caller(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A program that calls a shared object of its own, whose debug symbols are in another file."""
    if shutil.which("objcopy") is None:
        pytest.skip("needs binutils")
    library, debug = tmp_path / "libshop.so.1", tmp_path / "libshop.so.1.debug"
    (tmp_path / "shop.c").write_text(LIBRARY)
    (tmp_path / "caller.c").write_text(CALLER)
    commands: list[list[Any]] = [
        ["gcc", "-O1", "-fPIC", "-shared", "-o", library, tmp_path / "shop.c"],
        ["gcc", "-o", tmp_path / "caller", tmp_path / "caller.c", library],
        ["objcopy", "--only-keep-debug", library, debug],
        ["strip", library],
        ["objcopy", f"--add-gnu-debuglink={debug}", library],
    ]
    for command in commands:
        subprocess.run(command, check=True)
    with subprocess.Popen(
        [tmp_path / "caller"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as process:
        yield process
        process.kill()


def test_a_shared_object_stripped(caller: subprocess.Popen[bytes], tmp_path: Path) -> None:
    assert caller.stdin is not None
    assert caller.stdout is not None
    caller.stdin.write(b"g")  # it has been loaded when the answer is there
    caller.stdout.read(1)
    path = str(tmp_path / "libshop.so.1")
    probes = [
        bp.uprobe(path, "sell", event="path", n="$arg1"),
        bp.uprobe("shop", "sell", pid=caller.pid, event="name", n="$arg1"),
        bp.uprobe(path, "hidden", event="static", n="$arg1"),
        bp.uretprobe(path, "hidden", event="result", n="$retval"),
    ]
    with bp.Session(*probes, pid=caller.pid) as session:
        caller.stdin.write(b"g")
        assert caller.stdout.read(1) == b"k"
        events = sorted(session.events(duration=0), key=lambda event: event.time)
        assert session.statistics() == bp.Statistics(produced=92, delivered=92)
    for probe, factor in zip(probes, (1, 1, 1, 2), strict=True):
        found = [event.n for event in events if event.probe == probe.name]
        assert found == [factor * n for n in range(23)], probe.name


class ElsewhereWorker(Worker):
    """The program as it runs where another file is mounted over its own."""

    def __init__(self, program: Program, over: Path) -> None:
        self.program = program
        script = 'mount --bind "$0" "$1" && exec "$1"'
        self.process = subprocess.Popen(
            ["unshare", "-m", "sh", "-c", script, program.path, over],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        self.pid = self.process.pid
        self.hot(0)  # answered by the program itself


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare(1)")
def test_another_file_at_the_same_path_of_a_mount_namespace(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    ours = Program.build(tmp_path_factory.mktemp("ours"), "-DOURS", "-fno-pie", "-no-pie")
    theirs = Program.build(tmp_path_factory.mktemp("theirs"), "-fPIE", "-pie")
    assert ours.file_offset("hot") != theirs.file_offset("hot")
    with ElsewhereWorker(theirs, Path(ours.path)) as worker, Worker(ours) as here:
        probe = bp.uprobe(ours.path, "hot", pid=worker.pid, n="$arg1", factor="$arg2:s32")
        with bp.Session(probe) as session:
            worker.hot(23)
            here.hot(23)
            events: list[Any] = list(session.events(duration=0))
        assert [(e.n, e.factor, e.pid) for e in events] == [(*v, worker.pid) for v in ENTERED]
        told: list[bp.Notice] = []
        for_all = bp.Session(bp.uprobe(ours.path, "hot"), bp.uprobe(theirs.path, "text"))
        for_all.on_notice(told.append)
        with for_all:
            worker.hot(23)
            here.hot(23)
            assert {event.pid for event in for_all.events(duration=0)} == {here.pid}
        (notice,) = told
        assert notice.code == "OTHER_FILE"
        assert f"process {worker.pid} (program) runs another file at {ours.path}," in notice.text
        assert f"-p {worker.pid} " in notice.text
        # Of a process that was chosen only that one counts, and where it runs ours there is none.
        for pid, count in ((worker.pid, 1), (here.pid, 0)):
            assert len([*other_files([ours.path], pid)]) == count
        # A path of this namespace is another file, which that process does not run.
        with pytest.raises(bp.SpecError) as caught:
            bp.Session(bp.uprobe(theirs.path, "hot", pid=here.pid)).__enter__()
        assert caught.value.code == "PID_NOT_MAPPED"


def test_a_place_inside_of_an_instruction_is_refused(tmp_path: Path) -> None:
    """By us; told to go there, the kernel writes its breakpoint there."""
    program = Program.build(tmp_path)
    inside = f"descend+{program.symbols['in_mov'] - program.symbols['descend'] + 2}"
    with Worker(program) as worker:
        probe = bp.uprobe(program.path, inside, pid=worker.pid)
        with pytest.raises(bp.SpecError, match="is inside of `mov eax, 7") as caught:
            bp.Session(probe).open()
        assert caught.value.code == "BAD_INSN_BNDRY"
        assert not worker.is_probed("in_mov", 2)
        with bp.Session(bp.uprobe(program.path, inside, pid=worker.pid, force=True)):
            assert worker.is_probed("in_mov", 2)


@pytest.mark.parametrize("runs", [True, False])
def test_an_instruction_that_the_kernel_does_not_probe(runs: bool, tmp_path: Path) -> None:
    program = Program.build(tmp_path)
    locked = f"descend+{program.symbols['in_lock'] - program.symbols['descend']}"
    with Worker(program) as worker:
        pid = worker.pid if runs else None
        with pytest.raises(bp.SpecError, match="it has a LOCK prefix") as caught:
            bp.Session(bp.uprobe(program.path, locked, pid=pid)).open()
        assert caught.value.code == "NOT_SUPPORTED"
        if runs:  # otherwise the kernel says yes, and no call is ever seen
            with pytest.raises(bp.AttachError, match="cannot probe that instruction") as by_kernel:
                bp.Session(bp.uprobe(program.path, locked, pid=pid, force=True)).open()
            assert (by_kernel.value.code, by_kernel.value.errno) == ("NOT_SUPPORTED", 524)


def test_a_hundred_times_leaves_nothing(tmp_path: Path) -> None:
    program = Program.build(tmp_path)
    with Worker(program) as worker:
        probe = hot(worker)
        with bp.Session(probe) as session:  # what is kept for good is there after the first
            worker.hot(1)
            assert len(list(session.events(duration=0))) == 1
        descriptors = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(100):
            with bp.Session(probe):
                pass
        assert len(list(Path("/proc/self/fd").iterdir())) == descriptors
        assert kernel_things() == []
        worker.await_probe("hot", there=False)
        assert not worker.is_probed("hot")
