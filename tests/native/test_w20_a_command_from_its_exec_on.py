"""What trace --command shows is what the command does from its exec on, nothing of its launcher."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.native.programs import needs_uprobes

pytestmark = needs_uprobes

ROOT = Path(__file__).resolve().parents[2]
BPFPROBE = [sys.executable, "-m", "bpfprobe"]
SOURCE = """
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
__attribute__((noinline)) void work(long n) { free(malloc(n)); }
int main(int argc, char **argv)
{
    struct sigaction pipe;
    for (int i = 0; i < 23; i++)
        work(1001 + i);
    sigaction(SIGPIPE, NULL, &pipe);
    if (pipe.sa_handler != SIG_DFL)
        return 3;
    if (argc > 1 && !strcmp(argv[1], "stop")) {
        raise(SIGSTOP);
        for (int i = 0; i < 23; i++)
            free(malloc(2001 + i));
    }
    return getppid() < 0;
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("w20")
    (folder / "w20.c").write_text(SOURCE)
    subprocess.run(
        ["gcc", "-O0", "-fno-builtin", "-o", folder / "w20prog", folder / "w20.c"], check=True
    )
    return folder / "w20prog"


def trace(*words: str, timeout: float = 120) -> tuple[list[dict[str, object]], str]:
    done = subprocess.run(
        [*BPFPROBE, "trace", "--json", *words],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=timeout,
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


@pytest.mark.parametrize(
    "spec",
    ["uprobe:c:malloc n=$arg1", "uretprobe:c:malloc n=$arg1", "uprobe:c:malloc n=%di:u64"],
)
def test_every_call_is_the_commands(program: Path, spec: str) -> None:
    events, _ = trace("--command", str(program), spec)
    assert {event["comm"] for event in events} == {"w20prog"}
    sizes = [event["n"] for event in events]
    assert [n for n in sizes if 1001 <= int(str(n)) <= 1023] == list(range(1001, 1024))


def test_what_the_launcher_calls_is_not_shown(program: Path) -> None:
    """Its own Python calls all of these on the way to an exec; the program calls none, or one."""
    events, _ = trace(
        "--command", str(program), "uprobe:c:getenv", "uprobe:c:read", "uprobe:c:write",
        "uprobe:c:execve", "uprobe:c:getppid", "uprobe:c:free $arg1",
    )  # fmt: skip
    names = [event["probe"] for event in events]
    assert {event["comm"] for event in events} == {"w20prog"}
    assert (names.count("getppid"), names.count("execve"), names.count("read")) == (1, 0, 0)
    assert names.count("free") >= 23


def test_a_command_that_stops_goes_on(program: Path) -> None:
    command = [*BPFPROBE, "trace", "--command", f"{program} stop", "uprobe:c:malloc n=$arg1:u64"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as tracer:
        assert tracer.stdout is not None
        child = stopped_child_of(tracer.pid)
        assert tracer.poll() is None
        os.kill(child, signal.SIGCONT)
        rows = tracer.stdout.read().splitlines()[1:]
        assert tracer.wait() == 0
    sizes = [int(row.split()[-1]) for row in rows]
    assert [n for n in sizes if n > 2000 and n < 2024] == list(range(2001, 2024))


def stopped_child_of(parent: int) -> int:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
            if ") T " in Path(f"/proc/{child}/stat").read_text():
                return int(child)
        time.sleep(0.02)
    raise AssertionError("the command did not stop")


@pytest.mark.parametrize(
    ("spec", "count"), [("uprobe:{}:work n=$arg1", 23), ("uretprobe:{}:work n=$arg1", 23)]
)
def test_an_object_takes_a_command(program: Path, tmp_path: Path, spec: str, count: int) -> None:
    """A process that stands before its exec maps nothing of the program yet."""
    path = tmp_path / "work.bpfo"
    build = [*BPFPROBE, "build", spec.format(program), "-o", str(path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    for given in (str(path), spec.format(program)):
        events, _ = trace("--command", str(program), given)
        assert {event["comm"] for event in events} == {"w20prog"}
        assert [event["n"] for event in events] == list(range(1001, 1001 + count))


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("no-such-program-anywhere x", "there is no program no-such-program-anywhere"),
        ("/proc/version", "there is no program /proc/version that can be run"),
        ("/tmp", "there is no program /tmp that can be run"),
        ("'", "the command cannot be split"),
        (" ", "the command is empty"),
    ],
)
def test_a_command_that_cannot_be_run(command: str, said: str) -> None:
    done = subprocess.run(
        [*BPFPROBE, "trace", "--command", command, "uprobe:c:malloc"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr.splitlines()[0]
    assert "hint: " in done.stderr
