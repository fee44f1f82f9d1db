"""The command ``bpfprobe trace`` on a program that the test started: what it prints is safe."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.native.programs import Program, Worker, needs_uprobes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = needs_uprobes

TRACE = [sys.executable, "-m", "bpfprobe.cli.main", "trace"]
ROOT = Path(__file__).parents[2]

HOSTILE = {
    b"\x1b[31mred": r"\x1b[31mred",
    b"bell\a": r"bell\x07",
    b"a\nPID COMM": r"a\nPID COMM",
    b"cr\rcr\tb\b": r"cr\rcr\tb\x08",
    b"\x7f": r"\x7f",
    b"\\x1b": r"\\x1b",
    b"\xff\xfe\x9b": r"\xff\xfe\x9b",
    "\u009b1m".encode(): r"\u009b1m",
    "\u202efdp.exe".encode(): r"\u202efdp.exe",
    "\u2066x\u2069".encode(): r"\u2066x\u2069",
    "a\u2028b".encode(): r"a\u2028b",
    "cut ü".encode()[:-1]: r"cut \xc3",
}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return Program.build(tmp_path_factory.mktemp("program"))


@pytest.fixture
def worker(program: Program) -> Iterator[Worker]:
    with Worker(program) as worker:
        yield worker


def await_poll(worker: Worker, tracer: subprocess.Popen[bytes]) -> None:
    """Wait until the only probe is there and the tracer waits for its events, in epoll_wait(2)."""
    worker.await_probe("text")
    while Path(f"/proc/{tracer.pid}/syscall").read_text().split()[:1] != ["232"]:
        assert tracer.poll() is None
        time.sleep(0.01)


def trace(worker: Worker, act: Callable[[], object], *arguments: str) -> tuple[bytes, bytes]:
    """What is printed, and said at the end, while ``act`` is carried out."""
    command = [*TRACE, "-p", str(worker.pid), *arguments]
    tracer = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert tracer.stdout is not None
    try:
        header = b""
        if "--json" in arguments:
            await_poll(worker, tracer)
        else:
            header = tracer.stdout.readline()  # which is printed once all probes are there
        act()
        output, errors = tracer.communicate(timeout=60)
    finally:
        tracer.kill()
    assert tracer.returncode == 0, errors
    return header + output, errors


def text_probe(worker: Worker, *captures: str) -> str:
    return " ".join([f"uprobe:{worker.program.path}:text", *captures])


def test_every_byte_comes_back_from_json(worker: Worker) -> None:
    texts = [bytes(range(1, 256)), *HOSTILE]

    def act() -> None:
        for text in texts:
            worker.rename(text[-15:])
            worker.text(text)

    spec = text_probe(worker, "s=$arg1:ustring", "size=$arg2")
    output, errors = trace(worker, act, "--json", "--max-events", str(len(texts)), spec)
    assert output.isascii()
    rows = [json.loads(line) for line in output.splitlines()]
    assert [row["s"].encode("utf-8", "surrogateescape") for row in rows] == texts
    assert [row["comm"].encode("utf-8", "surrogateescape") for row in rows] == [
        text[-15:] for text in texts
    ]
    assert [row["size"] for row in rows] == [len(text) for text in texts]
    assert {(row["probe"], row["pid"]) for row in rows} == {("text", worker.pid)}
    assert errors == f"bpfprobe: {len(texts)} of {len(texts)} events delivered\n".encode()


@pytest.mark.parametrize("several", [False, True])
def test_nothing_raw_reaches_a_terminal(worker: Worker, several: bool) -> None:
    def act() -> None:
        for text in HOSTILE:
            worker.rename(text)
            worker.text(text)

    specs = [text_probe(worker, "s=$arg1:ustring", "first=+0($arg1):char")]
    if several:
        specs.append(text_probe(worker, "second=$arg1:ustring"))
    count = len(specs) * len(HOSTILE)
    output, _ = trace(worker, act, "-T", "--max-events", str(count), *specs)
    lines = output.decode().split("\n")
    assert all(line.isprintable() for line in lines)
    assert len(lines) == 1 + count + 1
    for line, shown in zip(lines[1 : -1 : len(specs)], HOSTILE.values(), strict=True):
        assert line.count(shown) >= 2  # as the name of the thread, and as the argument
        assert str(worker.pid) in line


def test_a_quote_does_not_end_a_value(worker: Worker) -> None:
    specs = [text_probe(worker, "s=$arg1:ustring"), text_probe(worker, "t=$arg1:ustring")]
    output, _ = trace(worker, lambda: worker.text(b'x" s="y'), "--max-events", "2", *specs)
    endings = {line.split()[3] + " " + line.split()[4] for line in output.decode().splitlines()[1:]}
    assert endings == {r's="x\" s=\"y"', r't="x\" s=\"y"'}


def test_a_reader_that_leaves_ends_the_trace(worker: Worker) -> None:
    spec = text_probe(worker, "size=$arg2")
    read, write = os.pipe()
    tracer = subprocess.Popen(
        [*TRACE, "-p", str(worker.pid), spec], cwd=ROOT, stdout=write, stderr=subprocess.PIPE
    )
    os.close(write)
    try:
        await_poll(worker, tracer)
        worker.text(b"one")
        assert os.read(read, 4096)  # the header, and maybe the row
        os.close(read)
        worker.text(b"two", b"three", b"five")
        _, errors = tracer.communicate(timeout=60)
    finally:
        tracer.kill()
    assert tracer.returncode == 0
    assert b"Traceback" not in errors
    assert b"BrokenPipe" not in errors
    worker.await_probe("text", there=False)
