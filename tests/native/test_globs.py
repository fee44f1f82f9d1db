"""Globs of functions on processes that the tests start."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

import bpfprobe as bp
from bpfprobe.model.machine import Answer
from bpfprobe.target.live import LiveTarget
from tests.native.programs import kernel_things, needs_uprobes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bpfprobe.model.machine import MachineFacts

pytestmark = needs_uprobes

COUNT = 97
SOURCE = (
    "#include <stdlib.h>\n#include <stdio.h>\n"
    "#define ONE(n) __attribute__((noinline, noipa)) long step_##n(long x) { return x + n; }\n"
    + "".join(f"ONE({n})\n" for n in range(COUNT))
    + "int main(void) { char line[64]; long total = 0;\n"
    "while (fgets(line, sizeof(line), stdin)) { int first = atoi(line);\n"
    + "".join(f"if ({n} >= first) total += step_{n}({n});\n" for n in range(COUNT))
    + 'printf("%ld\\n", total); fflush(stdout); } return 0; }\n'
)


class OneByOne(LiveTarget):
    """This machine, as if its kernel had no links for many places."""

    def facts(self) -> MachineFacts:
        return replace(super().facts(), uprobe_multi=Answer(False, "the test says so"))


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("steps")
    (folder / "steps.c").write_text(SOURCE)
    subprocess.run(["gcc", "-O1", "-o", folder / "steps", folder / "steps.c"], check=True)
    return folder / "steps"


@pytest.fixture
def running(program: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    yield process
    process.kill()
    process.communicate()


def go(process: subprocess.Popen[bytes], first: int = 0) -> None:
    """Call each function from that number on, once."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"%d\n" % first)
    assert process.stdout.readline()


def seen(session: bp.Session) -> list[Any]:
    return sorted(session.events(duration=0), key=lambda event: event.time)


@pytest.mark.parametrize(
    ("target", "glob", "numbers"),
    [
        (LiveTarget, "step_*", range(COUNT)),
        (OneByOne, "step_1?", range(10, 20)),  # ending a link each takes a while
    ],
)
@pytest.mark.parametrize("by_pid", [False, True])
def test_every_function_says_its_name(
    program: Path,
    running: subprocess.Popen[bytes],
    target: type[LiveTarget],
    glob: str,
    numbers: range,
    by_pid: bool,
) -> None:
    pid = running.pid if by_pid else None
    probe = bp.uprobe(str(program), glob, pid=pid, func="func", x="$arg1")
    with bp.Session(probe, target=target()) as session:
        go(running)
        events = seen(session)
    assert [(event.func, event.x) for event in events] == [(f"step_{n}", n) for n in numbers]
    assert kernel_things() == []


def test_returns_of_all_with_what_they_were_called_with(
    program: Path, running: subprocess.Popen[bytes]
) -> None:
    probe = bp.uretprobe(
        str(program), "step_?", func="func", x="$arg1", result="$retval:s64", took="duration",
        filter='func != "step_5"',
    )  # fmt: skip
    with bp.Session(probe) as session:
        go(running)
        events = seen(session)
        statistics = session.statistics()
    wanted = [(f"step_{n}", n, 2 * n) for n in range(10) if n != 5]
    assert [(event.func, event.x, event.result) for event in events] == wanted
    assert all(event.took > 0 for event in events)
    assert (statistics.missed, statistics.unmatched, statistics.in_flight) == (0, 0, 0)


def test_the_count_is_told_before_and_the_limit_holds(
    program: Path, running: subprocess.Popen[bytes]
) -> None:
    trace = [sys.executable, "-m", "bpfprobe", "trace", "-p", str(running.pid), "-d", "0"]
    spec = f"uprobe:{program}:step_*"
    refused = subprocess.run(
        [*trace, "--max-places", str(COUNT - 1), spec], capture_output=True, text=True, check=False
    )
    assert refused.returncode == 2
    assert f"{COUNT} functions of {program} fit step_*, and {COUNT - 1} is the most" in (
        refused.stderr
    )
    assert "[TOO_MANY_PLACES]" in refused.stderr
    assert "--max-places N" in refused.stderr
    told = subprocess.run(
        [*trace, "--max-places", str(COUNT), spec], capture_output=True, text=True, check=True
    )
    assert told.stderr.splitlines() == [
        f"bpfprobe: step__ goes to {COUNT} places",
        "bpfprobe: 0 of 0 events delivered",
        "bpfprobe: step__ was never hit",
    ]
    single = subprocess.run(
        [*trace, f"uprobe:{program}:step_7"], capture_output=True, text=True, check=True
    )
    assert single.stderr.splitlines() == [
        "bpfprobe: 0 of 0 events delivered",
        "bpfprobe: step_7 was never hit",
    ]


def test_a_place_in_the_midst_of_nothing_is_named(program: Path, tmp_path: Path) -> None:
    copy = tmp_path / "steps"
    copy.write_bytes(program.read_bytes())
    target = LiveTarget()
    session = bp.Session(bp.uprobe(str(copy), "step_1*"), target=target)
    target.binary(str(copy))
    os.truncate(copy, 4096)  # what was resolved before does not hold any more
    with pytest.raises(bp.BpfprobeError) as caught:
        session.open()
    assert str(copy) in str(caught.value)
    assert kernel_things() == []
