"""Markers of programs that the tests build, and of programs that nobody here wrote."""

from __future__ import annotations

import shutil
import signal
import struct
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import bpfprobe as bp
from tests.native.programs import kernel_things, needs_uprobes, python_with_calls

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = needs_uprobes

ROOT = Path(__file__).parents[2]
SOURCE = Path(__file__).with_name("shop.c")
NAMES = ["", "an apple", "two pears"]
EVERYTHING = {
    "number": "$arg1",
    "price": "$arg2",
    "what": "$arg3:string",
    "rest": "$arg4",
    "stock": "$arg5",
}


class Shop:
    """The program as it runs. Each method gives the semaphore as the program saw it at the end."""

    def __init__(self, path: str) -> None:
        self.process = subprocess.Popen(
            [path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        self.pid = self.process.pid

    def __enter__(self) -> Shop:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def ask(self, what: str, times: int) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(struct.pack("=II", ord(what), times))
        return int.from_bytes(self.process.stdout.read(2), "little")


def build(folder: Path, *flags: str) -> str:
    subprocess.run(["gcc", "-O2", *flags, "-o", folder / "shop", SOURCE], check=True)
    return str(folder / "shop")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> str:
    return build(tmp_path_factory.mktemp("shop"))


def wanted(times: int, stock: int) -> list[tuple[int, int, str, int, int]]:
    return [(-5 - i, 3000000000 + i, NAMES[i % 3], -7, stock + i) for i in range(times)]


def seen(events: list[Any]) -> list[tuple[Any, ...]]:
    ordered = sorted(events, key=lambda event: event.time)
    return [tuple(getattr(event, name) for name in EVERYTHING) for event in ordered]


@pytest.mark.parametrize("flags", [["-no-pie"], ["-pie"]], ids=str)
def test_each_place_with_its_own_operands(flags: list[str], tmp_path: Path) -> None:
    path = build(tmp_path, *flags)
    with Shop(path) as running, bp.Session(bp.usdt(path, "shop:sold", **EVERYTHING)) as session:
        assert running.ask("s", 23) == 2, "one for each place"
        assert running.ask("m", 19) == 2
        assert running.ask("c", 5) == 2
        events = list(session.events(duration=0))
        assert {event.pid for event in events} == {running.pid}
    assert seen(events) == wanted(23, 5000000000) + wanted(19, 5000000023)
    assert session.statistics().produced == 42


def test_floats_in_memory_and_in_plain_registers(shop: str) -> None:
    probe = bp.usdt(
        shop, "weighed", weight="$arg1", share="$arg2", number="$arg4", bits="$arg1:f64"
    )
    with Shop(shop) as running, bp.Session(probe, pid=running.pid) as session:
        running.ask("w", 23)
        (batch,) = session.batches(duration=0)
        assert batch.array["weight"].tolist() == [n / 8 for n in range(23)]
        assert batch.array["share"].dtype.str == "<f4"
        events = batch.events()
    assert [(e.weight, e.share, e.number, e.bits) for e in events] == [
        (n / 8, -n / 2, -n, n / 8) for n in range(23)
    ]
    with pytest.raises(bp.SpecError, match="in a register that a probe does not see"):
        bp.Session(bp.usdt(shop, "weighed", weight="$arg3")).__enter__()


def test_one_program_where_places_agree(shop: str) -> None:
    probe = bp.usdt(shop, "sold", stock="$arg5:u64", filter="$arg5 >= 5000000010")
    with Shop(shop) as running, bp.Session(probe, pid=running.pid) as session:
        running.ask("s", 11)
        running.ask("m", 13)
        assert [event.stock for event in session.events(duration=0)] == list(
            range(5000000010, 5000000024)
        )


def test_a_filter_on_an_argument_at_every_place(shop: str) -> None:
    probe = bp.usdt(shop, "sold", number="$arg1", filter="$arg1 < -15")
    with Shop(shop) as running, bp.Session(probe) as session:
        running.ask("s", 23)
        running.ask("m", 17)
        numbers = sorted(event.number for event in session.events(duration=0))
    assert numbers == sorted([-5 - i for i in range(11, 23)] + [-5 - i for i in range(11, 17)])


def test_a_process_that_starts_later_is_switched_on_too(shop: str) -> None:
    session = bp.Session(bp.usdt(shop, "shop:sold", number="$arg1"))
    with session, Shop(shop) as first, Shop(shop) as second:
        assert first.ask("s", 7) == second.ask("s", 11) == 2
        pids = [event.pid for event in session.events(duration=0)]
        assert (pids.count(first.pid), pids.count(second.pid)) == (7, 11)
        session.close()
        assert first.ask("s", 1) == second.ask("s", 1) == 0


def test_only_the_process_that_was_named(shop: str) -> None:
    with Shop(shop) as first, Shop(shop) as second:
        with bp.Session(bp.usdt(shop, "shop:sold", pid=first.pid)) as session:
            assert first.ask("s", 13) == 2
            assert second.ask("s", 17) == 0
            assert [event.pid for event in session.events(duration=0)] == [first.pid] * 13
        assert first.ask("s", 1) == 0
    assert kernel_things() == []


TRACER = """
import sys, time
import bpfprobe as bp
with bp.Session(bp.usdt(sys.argv[1], "shop:sold")):
    print("ready", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGSEGV])
def test_the_semaphore_is_0_however_the_tracer_ends(shop: str, number: int) -> None:
    with Shop(shop) as running, tracer(shop) as tracing:
        assert running.ask("s", 1) == 2
        tracing.send_signal(number)
        tracing.wait()
        deadline = time.monotonic() + 30
        while running.ask("s", 1):
            assert time.monotonic() < deadline, "the marker stays switched on"
            time.sleep(0.01)


@contextmanager
def tracer(shop: str) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that has the marker switched on."""
    command = [sys.executable, "-c", TRACER, shop]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


SCRIPT = """
import gc, sys
gc.disable()
def probed_function(n):
    return n
sys.stdin.readline()
for n in range(23):
    probed_function(n)
for n in range(7):
    gc.collect(1)
print("done", flush=True)
sys.stdin.readline()
"""


def test_the_markers_of_cpython(tmp_path: Path) -> None:
    python = python_with_calls()
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    process = subprocess.Popen(
        [python, "-S", "-E", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    )
    entered = bp.usdt(
        python, "python:function__entry", pid=process.pid,
        file="$arg1:string", function="$arg2:string", line="$arg3", filter='function ~ "probed*"',
    )  # fmt: skip
    # CPython 3.11 tells of calls only while it tells of lines as well.
    lines = bp.usdt(python, "python:line", pid=process.pid, filter="$arg3 < 0")
    began = bp.usdt(python, "gc__start", pid=process.pid, generation="$arg1")
    ended = bp.usdt(python, "gc__done", pid=process.pid, freed="$arg1")
    try:
        with bp.Session(entered, lines, began, ended) as session:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(b"\n")
            assert process.stdout.readline() == b"done\n"
            events: list[Any] = list(session.events(duration=0))
    finally:
        process.kill()
        process.communicate()
    calls = [event for event in events if event.probe == "function__entry"]
    assert [(e.file, e.function, e.line) for e in calls] == [
        (str(script), "probed_function", 4)
    ] * 23
    assert [e.generation for e in events if e.probe == "gc__start"] == [1] * 7
    assert len([e for e in events if e.probe == "gc__done"]) == 7


THROWER = """
#include <cstdio>
int main() {
    int caught = 0;
    getchar();
    for (int i = 0; i < 23; i++)
        try { throw i; } catch (int n) { caught += n; }
    for (int i = 0; i < 11; i++)
        try { try { throw 1L; } catch (long) { throw; } } catch (long) { caught++; }
    puts("done"); fflush(stdout);
    getchar();
    return caught == 0;
}
"""


def test_exceptions_of_cpp(tmp_path: Path) -> None:
    if shutil.which("g++") is None:
        pytest.skip("needs g++")
    (tmp_path / "thrower.cc").write_text(THROWER)
    program = tmp_path / "thrower"
    subprocess.run(["g++", "-O1", "-o", program, tmp_path / "thrower.cc"], check=True)
    process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    probes = [
        bp.usdt("stdc++", f"libstdcxx:{name}", pid=process.pid, object="$arg1:x64")
        for name in ("throw", "catch", "rethrow")
    ]
    try:
        with bp.Session(*probes) as session:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(b"\n")
            assert process.stdout.readline() == b"done\n"
            events: list[Any] = list(session.events(duration=0))
    finally:
        process.kill()
        process.communicate()
    counts = [sum(event.probe == probe.name for event in events) for probe in probes]
    assert counts == [34, 45, 11]
    assert all(event.object for event in events)
