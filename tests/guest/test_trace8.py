"""Lines of trace(8) beside trace-bpfcc: the same rows, or one of trace(8)'s own mistakes.

BPFPROBE_TRACE8=all runs all lines; without, the eight of the first group. bcc compiles each group
for as long as a minute under emulation.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trace8_lines
from side_by_side import Tracer

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
BCC = [sys.executable, "-u", str(HERE / "trace8_bcc.py")]
OURS = [sys.executable, "-u", "-m", "bpfprobe", "trace"]
COMPILED_S = 350.0
"""How long bcc may take to compile a group under emulation, on a busy machine."""
only_when_asked = pytest.mark.when_asked("BPFPROBE_TRACE8")


@contextlib.contextmanager
def workload(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """The workload, before its work."""
    with contextlib.suppress(FileNotFoundError):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=False)
    child = subprocess.Popen(
        [sys.executable, str(HERE / "trace8_workload.py")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder,
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def let_work(child: subprocess.Popen[str]) -> None:
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write("\n")
    child.stdin.flush()
    while not (line := child.stdout.readline()).endswith("done\n"):
        assert line, "the workload died"


def both(group: trace8_lines.Group, folder: Path) -> tuple[list[str], list[str]]:
    """The rows of trace-bpfcc and ours, without what stands before FUNC."""
    with workload(folder) as child:
        options = [str(child.pid) if word == "TID" else word for word in group.options]
        who = [] if "-L" in options else ["-p", str(child.pid)]
        words = [*who, *options, *group.lines]
        tracers = [Tracer([*BCC, *words]), Tracer([*OURS, *words])]
        try:
            for tracer in tracers:
                tracer.wait_for(b"PID     TID     COMM            FUNC", COMPILED_S)
            time.sleep(2)
            let_work(child)
            time.sleep(5)
            found = [text(tracer.stop()) for tracer in tracers]
        finally:
            for tracer in tracers:
                tracer.end()
    front = re.compile(rf"{group.front}{child.pid} +{child.pid} +python3? +")
    theirs, ours = ([front.sub("", row) for row in rows] for rows in found)
    assert "lost" not in tracers[1].stderr.decode()
    return theirs, ours


def text(rows: list[bytes]) -> list[str]:
    """Rows in words, white space at the end and between columns left out."""
    words = (re.sub(r" +", " ", row.decode("utf-8", "replace")).strip() for row in rows)
    return [row for row in words if row]


def check(group: trace8_lines.Group, folder: Path) -> None:
    theirs, ours = (Counter(rows) for rows in both(group, folder))
    for row, count in group.sure.items():
        assert ours[row] == count, row
    assert dict(ours - theirs) == merged(group.ours)
    assert dict(theirs - ours) == merged(group.theirs)


def merged(differences: dict[str, dict[str, int]]) -> dict[str, int]:
    return {row: n for rows in differences.values() for row, n in rows.items()}


@pytest.mark.guest(headers=True, kernels=["6.1"], timeout_s=400)
def test_eight_lines(tmp_path: Path) -> None:
    check(trace8_lines.KERNEL, tmp_path)


@only_when_asked
@pytest.mark.guest(headers=True, kernels=["6.1"], timeout_s=500)
@pytest.mark.parametrize("name", trace8_lines.MORE)
def test_more_lines(name: str, tmp_path: Path) -> None:
    check(trace8_lines.MORE[name], tmp_path)


@only_when_asked
@pytest.mark.guest(headers=True, kernels=["6.1"], timeout_s=500)
def test_what_bcc_refuses() -> None:
    tracers = {
        line: subprocess.Popen([*BCC, line], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for line in trace8_lines.REFUSED
    }
    for line, tracer in tracers.items():
        output, _ = tracer.communicate(timeout=400)
        assert tracer.returncode == 1, (line, output)
        ours = subprocess.run(
            [*OURS, "-d", "0.1", line], capture_output=True, text=True, check=False
        )
        assert (ours.returncode == 0) == bool(trace8_lines.REFUSED[line]), ours.stderr
        assert "Traceback" not in ours.stderr
