"""A compiler that was started before there is anything to compile, and each of its ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bpfprobe.engine import compiler_child, compiler_identity
from bpfprobe.engine.compiler import compile_c
from bpfprobe.engine.compiler_process import CompilerProcess, Done
from bpfprobe.engine.fork_guard import ForkGuard
from bpfprobe.engine.live import LiveEngine
from bpfprobe.errors import CompileError
from bpfprobe.model.object import CSource, ProgramDef, ProgramKind
from tests.engine.test_compiler import HEADER, has_bcc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

needs_bcc = pytest.mark.skipif(not has_bcc(), reason="needs libbcc.so.0 (apt install libbpfcc)")
TEXT = "int f(struct pt_regs *ctx) { return 23; }\n"
RETURN_23 = bytes.fromhex("b700000017000000 9500000000000000")
ECHO = """
import os, sys
sys.path.insert(0, {folder!r})
import compiler_child
request = compiler_child.asked()
sys.stdout.buffer.write(request[::-1])
print("heard", len(request), file=sys.stderr)
"""


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    """No descriptor, no child: whatever a test does to the compiler."""
    before = descriptors(), children()
    yield
    assert (descriptors(), children()) == before


def descriptors() -> list[str]:
    return sorted(path.name for path in Path("/proc/self/fd").iterdir())


def children() -> set[int]:
    """Those that have not been waited for, be they zombies."""
    found = set[int]()
    for task in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread that has ended meanwhile
            found |= {int(pid) for pid in (task / "children").read_text().split()}
    return found


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Have a script run in place of the compiler."""

    def write(text: str) -> None:
        script = tmp_path / "child.py"
        script.write_text(text)
        monkeypatch.setattr(compiler_child, "__file__", str(script))

    return write


@pytest.fixture
def echo(stand_in: Callable[[str], None]) -> None:
    stand_in(ECHO.format(folder=str(Path(compiler_child.__file__).parent)))


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def is_gone(pid: int) -> bool:
    """Ended, if not waited for by whoever is to."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.mark.parametrize(
    "text",
    ["import time; time.sleep(600)", "import os; os._exit(3)", "import sys; sys.stdin.read()"],
    ids=["still loading", "ended by itself", "waiting"],
)
@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt, SystemExit])
def test_with_nothing_to_compile(
    stand_in: Callable[[str], None],
    text: str,
    error: type[BaseException] | None,
    capfd: pytest.CaptureFixture[str],
) -> None:
    stand_in(text)
    before, began = children(), time.monotonic()
    try:
        with CompilerProcess():
            assert len(children() - before) == 1
            if error is not None:
                raise error
    except BaseException as caught:
        if error is None or not isinstance(caught, error):
            raise
    assert time.monotonic() - began < 60  # not the 600 of the one that does not listen
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("echo")
def test_one_request_is_answered_however_long() -> None:
    request = bytes(range(256)) * 4099
    with CompilerProcess() as process:
        done = process.compile(request, 60)
    assert done == Done(0, request[::-1], b"heard 1049344\n")


@pytest.mark.usefixtures("echo")
def test_pipes_that_others_hold_open_keep_nobody_waiting() -> None:
    """A child that another thread has forked meanwhile, and that guards nothing."""
    with CompilerProcess() as process:
        holder = os.fork()
        if not holder:
            time.sleep(600)
            os._exit(0)
        try:
            assert process.compile(b"abc", 60).answer == b"cba"
        finally:
            os.kill(holder, signal.SIGKILL)
            os.waitpid(holder, 0)


@pytest.mark.usefixtures("echo")
def test_a_forked_child_lets_go_and_ends_nothing() -> None:
    guard = ForkGuard()
    with CompilerProcess(guard) as process:
        numbers = [held.number for held in process._held if held.number >= 0]
        assert numbers
        pid = os.fork()
        if not pid:
            still_open = [number for number in numbers if Path(f"/proc/self/fd/{number}").exists()]
            process.close()
            os._exit(len(still_open))
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert process.compile(b"abc", 60).answer == b"cba"


@pytest.mark.usefixtures("echo")
def test_where_nobody_is_to_wait_for_children() -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        with CompilerProcess() as process:
            assert process.compile(b"abc", 60) == Done(0, b"cba", b"heard 3\n")
        with CompilerProcess():
            pass
    finally:
        signal.signal(signal.SIGCHLD, before)


@pytest.mark.usefixtures("echo")
def test_one_that_somebody_else_has_waited_for() -> None:
    with CompilerProcess() as process:
        os.kill(process._pid, signal.SIGKILL)
        os.waitpid(process._pid, 0)


@pytest.mark.usefixtures("echo")
def test_an_interrupt_of_the_terminal_is_ours_to_judge() -> None:
    with CompilerProcess() as process:
        os.kill(process._pid, signal.SIGINT)
        assert process.compile(b"abc", 60).answer == b"cba"


@pytest.mark.usefixtures("echo")
def test_with_no_standard_descriptors_at_hand() -> None:
    root = str(Path(__file__).parents[2])
    script = f"""
        import os, sys
        sys.path.insert(0, {root!r})
        from bpfprobe.engine import compiler_child, compiler_identity
        from bpfprobe.engine.compiler_process import CompilerProcess
        compiler_child.__file__ = {compiler_child.__file__!r}
        for number in (0, 1, 2):
            os.close(number)
        with CompilerProcess() as process:
            done = process.compile(b"abc", 60)
        os._exit(23 if (done.answer, done.complaints) == (b"cba", b"heard 3\\n") else 1)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)])
    assert done.returncode == 23


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=str)
def test_it_does_not_outlive_a_program_that_is_killed(number: signal.Signals) -> None:
    root = str(Path(__file__).parents[2])
    script = f"""
        import sys, time
        sys.path.insert(0, {root!r})
        from bpfprobe.engine.compiler_process import CompilerProcess
        process = CompilerProcess()
        print(process._pid, flush=True)
        time.sleep(600)
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        pid = int(program.stdout.readline())
        assert not is_gone(pid)
        program.send_signal(number)
    until(lambda: is_gone(pid))


@needs_bcc
def test_it_has_nothing_open_that_the_program_had() -> None:
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    place = Path(f"/proc/self/fd/{writing}").readlink()
    with CompilerProcess() as process:

        def inherited() -> list[str]:
            found = Path(f"/proc/{process._pid}/fd").iterdir()
            return [path.name for path in found if path.is_symlink() and path.readlink() == place]

        until(lambda: not inherited())
    os.close(reading)
    os.close(writing)


@needs_bcc
def test_two_at_once_in_threads() -> None:
    made: dict[int, bytes] = {}

    def compile_one(number: int) -> None:
        text = f"int f(struct pt_regs *ctx) {{ return {number}; }}\n"
        with CompilerProcess() as process:
            (function,) = compile_c(text, HEADER, ["f"], waiting=process)
        made[number] = function.instructions

    threads = [threading.Thread(target=compile_one, args=(number,)) for number in (23, 29, 31)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {n: code[4] for n, code in made.items()} == {23: 23, 29: 29, 31: 31}


def source(text: str = TEXT) -> CSource:
    return CSource(text, HEADER, (ProgramDef("f", ProgramKind.KPROBE),), ())


@needs_bcc
def test_an_engine_takes_the_one_that_waits_and_then_others() -> None:
    engine, before = LiveEngine(), children()
    with engine.compiling_soon():
        (waiting,) = children() - before
        (code,) = engine.compile(source())
        assert code.instructions == RETURN_23
        assert is_gone(waiting)
        assert children() == before  # before anything is attached, not when the block is left
        (code,) = engine.compile(source())
        assert code.instructions == RETURN_23
    (code,) = engine.compile(source())
    assert code.instructions == RETURN_23


@needs_bcc
def test_a_text_that_is_refused_ends_it() -> None:
    engine = LiveEngine()
    with engine.compiling_soon(), pytest.raises(CompileError, match="nowhere"):
        engine.compile(source("int f(struct pt_regs *ctx) { return nowhere; }\n"))


def test_none_is_started_where_another_machine_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler_identity, "compiles_elsewhere", lambda: True)
    before = children()
    with LiveEngine().compiling_soon():
        assert children() == before


def test_one_that_cannot_start_is_told_of_when_it_is_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    engine = LiveEngine()
    with engine.compiling_soon(), pytest.raises(CompileError, match="/nowhere/python"):
        engine.compile(source())
