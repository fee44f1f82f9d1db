"""The lines of docs/from-kprobe-tracing.md, as they are typed there, on a kernel."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


TRACE = [sys.executable, "-u", "-m", "bpfprobe", "trace"]
ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "from-kprobe-tracing.md"
CALLS = 23
TRACEFS = Path("/sys/kernel/tracing")

OPENED = "p:myprobe do_sys_openat2 dfd=%di:s32 filename=+0(%si):ustring mode=+4($stack)"
RETURNED = "r:myretprobe do_sys_openat2 $retval"
SPECS = [
    OPENED,
    RETURNED,
    "p kfree",
    "r:kfree_probe kfree",
    "p:tcp_v4_connect",
    "p vfs_read+5 %di +0x3c(%di):u32",
]


def trace(words: list[str], act: Callable[[], object], cwd: Path | None = None) -> list[Any]:
    """The events of a trace over which ``act`` is carried out, as dicts."""
    tracer = subprocess.Popen(
        [*TRACE, "--json", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    await_probes(tracer)
    act()
    time.sleep(1)
    tracer.send_signal(signal.SIGINT)
    output, errors = tracer.communicate(timeout=60)
    assert tracer.returncode == 0, errors
    assert b"lost" not in errors
    return [json.loads(line) for line in output.splitlines()]


def await_probes(tracer: subprocess.Popen[Any]) -> None:
    """Wait until the probes are there and the tracer waits for their events, in epoll_wait(2)."""
    process = Path(f"/proc/{tracer.pid}")
    while True:
        assert tracer.poll() is None, tracer.communicate()[1]
        with contextlib.suppress(FileNotFoundError):  # a descriptor that was just closed
            held = [str(link.readlink()) for link in (process / "fd").iterdir()]
            waits = (process / "syscall").read_text().split()[:1] == ["232"]
            if waits and any(re.search("perf_event|bpf.link", name) for name in held):
                return
        time.sleep(0.1)


def refused(*words: str) -> str:
    done = subprocess.run(
        [*TRACE, "-d", "0.1", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr
    return done.stderr


def opens(folder: Path) -> None:
    for number in range(CALLS):
        os.close(os.open(folder / f"file{number}", os.O_CREAT | os.O_RDWR, 0o600))


def connect() -> None:
    for _ in range(5):
        with socket.socket() as tcp, contextlib.suppress(OSError):
            tcp.connect(("127.0.0.1", 9))


def read_zero() -> None:
    with open("/dev/zero", "rb", buffering=0) as zero:
        for _ in range(CALLS):
            zero.read(3)


def define(line: str) -> None:
    """Add a line to kprobe_events, which opening it in any other way would empty."""
    fd = os.open(TRACEFS / "kprobe_events", os.O_WRONLY | os.O_APPEND)
    try:
        os.write(fd, line.encode() + b"\n")
    finally:
        os.close(fd)


def instruction_inside(function: str) -> int:
    """Where the kernel says that an instruction starts, behind what ftrace may change."""
    for offset in range(5, 20):
        with contextlib.suppress(OSError):
            define(f"p:inside {function}+{offset}")
            define("-:inside")
            return offset
    raise AssertionError(f"nowhere in {function}")


def documented() -> str:
    return DOCUMENT.read_text(encoding="utf-8")


@pytest.mark.guest(kernels=["5.10", "6.1", "newest"], timeout_s=200)
def test_lines_that_work_as_typed(tmp_path: Path) -> None:
    for spec in SPECS:
        assert f"'{spec}'" in documented()
    inside = SPECS[-1].replace("+5 ", f"+{instruction_inside('vfs_read')} ")

    def act() -> None:
        opens(tmp_path)
        connect()
        read_zero()

    events = trace(["-p", str(os.getpid()), *SPECS[:-1], inside], act)
    mine = [e for e in events if e["probe"] == "myprobe" and str(tmp_path) in (e["filename"] or "")]
    assert [e["filename"] for e in mine] == [str(tmp_path / f"file{n}") for n in range(CALLS)]
    assert {e["dfd"] for e in mine} == {-100}
    assert all(isinstance(e["mode"], int) for e in mine)
    returned = [e for e in events if e["probe"] == "myretprobe"]
    assert len(returned) >= CALLS
    assert len([e for e in events if e["probe"] == "tcp_v4_connect"]) == 5
    # Probes come and go one after the other: what counts is between two events of another.
    begin, end = mine[0]["time"], mine[-1]["time"]
    during = [e["probe"] for e in events if begin < e["time"] < end]
    assert during.count("kfree") > CALLS // 2
    assert abs(during.count("kfree") - during.count("kfree_probe")) <= 1
    reads = [e for e in events if e["probe"] == "vfs_read"]
    assert len(reads) >= CALLS
    assert all(e["arg1"] > 1 << 63 and isinstance(e["arg2"], int) for e in reads)


@pytest.mark.guest(kernels=["5.10", "6.1", "newest"], timeout_s=200)
def test_filters_as_typed(tmp_path: Path) -> None:
    spec = "p:myprobe do_sys_openat2 filename=+0(%si):ustring"
    assert f"'{spec}' 'filename ~ \"/tmp/*\"'" in documented()
    folder = Path("/tmp/published")
    folder.mkdir()

    def act() -> None:
        opens(tmp_path)
        opens(folder)

    events = trace(["-p", str(os.getpid()), spec, 'filename ~ "/tmp/published/*"'], act)
    assert len(events) == CALLS
    own = os.getpid()
    events = trace(
        [spec, f"common_pid == {own} || common_pid == {own + 100000}"], lambda: opens(folder)
    )
    assert len([e for e in events if "/tmp/published/" in e["filename"]]) == CALLS
    assert {e["tid"] for e in events} == {own}


@pytest.mark.guest(kernels=["5.10", "6.1", "newest"], timeout_s=200)
def test_places_in_programs_as_typed(tmp_path: Path) -> None:
    program = tmp_path / "test"
    shutil.copy("/bin/true", program)
    entry = int.from_bytes(program.read_bytes()[24:32], "little")
    spec = f"p:func_2_entry ./test:{entry:#x}"
    assert "'p:func_2_entry ./test:0x620'" in documented()

    def act() -> None:
        for _ in range(5):
            subprocess.run([program], check=True)

    events = trace([spec], act, cwd=tmp_path)
    assert [e["probe"] for e in events] == ["func_2_entry"] * 5
    assert {e["comm"] for e in events} == {"test"}


@pytest.mark.guest(kernels=["5.10", "6.1", "newest"], timeout_s=200)
def test_lines_that_are_of_older_kernels() -> None:
    kernel = Path("/proc/kallsyms").read_text()
    old = "p:myprobe do_sys_open dfd=%ax filename=%dx flags=%cx mode=+4($stack)"
    assert f"'{old}'" in documented()
    if re.search(r" do_sys_open$", kernel, re.MULTILINE):
        assert trace([old, "r:myretprobe do_sys_open $retval"], lambda: None) is not None
    else:
        assert "do_sys_openat2" in refused(old)
    execve = (
        "p:test_probe sys_execve filename=+0(%di):string arg1=+0(+0(%si)):string "
        "arg2=+0(+8(%si)):string"
    )
    assert f"'{execve}'" in documented()
    said = refused(execve)
    assert "BAD_PROBE_ADDR" in said
    assert "syscall:execve" in said
    inside = "p:kfree_probe_10 kfree+0x10"
    assert f"'{inside}'" in documented()
    try:
        define(inside)
        taken = True
    except OSError:
        taken = False
    else:
        define("-:kfree_probe_10")
    ours = subprocess.run([*TRACE, "-d", "0.1", inside], capture_output=True, check=False)
    assert (ours.returncode == 0) == taken


@pytest.mark.guest(kernels=["5.10", "6.1", "newest"], timeout_s=200)
def test_the_working_spelling_of_execve() -> None:
    assert "'syscall:execve filename argv'" in documented()

    def act() -> None:
        for number in range(5):
            subprocess.run(["/bin/echo", f"n{number}"], check=True, stdout=subprocess.DEVNULL)

    events = trace(["syscall:execve filename argv"], act)
    echoes = [e for e in events if e["filename"] == "/bin/echo"]
    assert [e["argv"] for e in echoes] == [["/bin/echo", f"n{n}"] for n in range(5)]


@pytest.mark.guest(kernels=["5.10", "6.1", "newest"], timeout_s=200)
def test_lines_of_ftrace_are_the_kernels_own(tmp_path: Path) -> None:
    """The same probes in tracefs and here: the same lines, but for flags and times."""
    specs = [
        "p:enter do_sys_openat2 dfd=%di:s32 name=+0(%si):ustring",
        "r:leave do_sys_openat2 ret=$retval:s32",
    ]
    (TRACEFS / "kprobe_events").write_text("\n".join(specs) + "\n")
    own = ctypes.CDLL(None).gettid()
    for name in ("enter", "leave"):
        event = TRACEFS / "events" / "kprobes" / name
        (event / "filter").write_text(f"common_pid == {own}")
        (event / "enable").write_text("1")
    command = [*TRACE, "--style", "ftrace", "-L", str(own), *specs]
    tracer = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    await_probes(tracer)
    opens(tmp_path)
    time.sleep(1)
    tracer.send_signal(signal.SIGINT)
    ours = tracer.communicate(timeout=60)[0].splitlines()
    theirs = [line for line in (TRACEFS / "trace").read_text().splitlines() if line[:1] != "#"]
    path = str(tmp_path)

    def plain(lines: list[str]) -> list[str]:
        """From the first open of the workload on: its entries, and each return that follows."""
        cut = [re.sub(r"\[(\d+)\] \S{4,5} +[\d.]+: ", r"[\1] ", line) for line in lines]
        # With a probe of two tracers on a return the kernel's own knows the caller no more.
        cut = [
            re.sub(r"\((?:\S+|\[unknown/kretprobe'd\]) <- ", "(caller <- ", line) for line in cut
        ]
        kept = []
        for number, line in enumerate(cut):
            if path in line:
                kept += cut[number : number + 2]
        return kept

    assert len(plain(theirs)) == 2 * CALLS
    assert plain(ours) == plain(theirs)
    assert sum("openat" in line.partition(" <- ")[0] for line in ours) >= CALLS
