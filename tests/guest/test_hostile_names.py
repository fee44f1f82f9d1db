"""Names made to deceive a terminal or a log: files, programs, threads."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.guest(
    kernels=["5.10", "6.1", "newest"], shares=True
)  # alike in those between

TRACE = [sys.executable, "-m", "bpfprobe.cli.main", "trace"]
KPROBES = Path("/sys/kernel/debug/kprobes/list")

NAMES = [
    b"\x1b[2J\x1b]0;title\a",
    b"three\a\a\abells",
    b"one\n  1 init  passwd",
    b"\r\b\b\b\t\v\f\x7f",
    b"\xff\xfe\xc3",
    b"\x9b31m",
    "\u009b31m\u0085".encode(),
    "\u202etxt.exe\u202c".encode(),
    "\u2066a\u2067b\u2068c\u2069".encode(),
    "\u200b\u2028\u2029\ufeff".encode(),
    b"\\x1b[0m",
    b'"}\n{"probe":"forged"}',
    bytes(range(1, 47)) + bytes(range(48, 128)),  # a name has neither NUL nor a slash
    bytes(range(128, 256)),
]

# Opens and runs each file, when told to; its own name is that of the file.
WORK = """\
import os, sys
names = [bytes.fromhex(word) for word in sys.argv[1:]]
input()
for name in names:
    with open("/proc/self/comm", "wb") as comm:
        comm.write(name[-15:])
    os.close(os.open(name, os.O_NOFOLLOW))
    if os.fork() == 0:
        os.execv(name, [name, b"a b", name * 2])
    os.wait()
"""
OPENED = "p:opened do_sys_openat2 path=filename:ustring if how->flags & 0x20000 && ppid == {}"
STARTED = "started=syscall:execve filename argv if ppid == {}"
PROBES = {"opened": [OPENED], "started": [STARTED], "both": [OPENED, STARTED]}


@pytest.fixture
def folder(tmp_path):
    """Each name, as a program that ends at once."""
    for name in NAMES:
        path = os.fsencode(tmp_path) + b"/" + name
        shutil.copy(b"/bin/true", path)
    return tmp_path


def watches(pid, probes):
    """Whether the tracer has attached all of its probes and waits for events, in epoll_wait(2)."""
    if len(KPROBES.read_text().splitlines()) < probes:
        return False
    return Path(f"/proc/{pid}/syscall").read_text().split()[:1] == ["232"]


def traced(folder, probes, *options):
    """What ``bpfprobe trace`` prints while the names are used."""
    work = [sys.executable, "-c", WORK, *(name.hex() for name in NAMES)]
    worker = subprocess.Popen(work, cwd=folder, stdin=subprocess.PIPE)
    parents = {OPENED: os.getpid(), STARTED: worker.pid}
    texts = [probe.format(parents[probe]) for probe in probes]
    count = str(len(NAMES) * len(probes))
    command = [*TRACE, "--max-events", count, *options, *texts]
    tracer = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        while tracer.poll() is None and not watches(tracer.pid, len(probes)):
            time.sleep(0.05)
        worker.communicate(b"go\n", timeout=60)
        output, errors = tracer.communicate(timeout=60)
    finally:
        worker.kill()
        tracer.kill()
    assert tracer.returncode == 0, errors
    assert f"{count} of {count} events delivered".encode() in errors
    return output


def raw(text):
    return text.encode("utf-8", "surrogateescape")


@pytest.mark.parametrize("probes", PROBES)
def test_a_line_an_event_and_nothing_raw(folder, probes):
    output = traced(folder, PROBES[probes])
    lines = output.decode().split("\n")
    assert len(lines) == 1 + len(NAMES) * len(PROBES[probes]) + 1
    assert all(line.isprintable() for line in lines)
    assert not [line for line in lines if line.startswith(("  1 init", '{"probe"'))]
    shown = [line for line in lines[1:] if "x1b[2J" in line]
    assert len(shown) == len(PROBES[probes])
    assert all(r"\x1b[2J\x1b]0;title\x07" in line for line in shown)


def test_every_byte_comes_back_from_json(folder):
    output = traced(folder, PROBES["both"], "--json")
    assert output.isascii()
    rows = [json.loads(line) for line in output.splitlines()]
    opened = [row for row in rows if row["probe"] == "opened"]
    started = [row for row in rows if row["probe"] == "started"]
    assert [raw(row["path"]) for row in opened] == NAMES
    assert [raw(row["filename"]) for row in started] == NAMES
    assert [[raw(part) for part in row["argv"]] for row in started] == [
        [name, b"a b", name * 2] for name in NAMES
    ]
    for own in (opened, started):
        assert [raw(row["comm"]) for row in own] == [name[-15:] for name in NAMES]
    seen = b"".join(raw(row["path"]) for row in opened)
    assert set(seen) == set(range(256)) - {0, ord("/")}
