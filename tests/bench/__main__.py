"""How long a probe takes to start: bpfprobe and BCC's Python, the same uprobe, side by side.

``python -m tests.bench``, as root. Each figure is the median of some runs on this machine in this
minute; what carries over to another is the ratio.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNS = 7
TIMEOUT_S = 120
PROGRAM = """
__attribute__((noinline)) int work(int n) { return n * 3; }
int main(void) { return work(7); }
"""
OURS = "tests.bench.ours"
BCC = "tests.bench.bcc_python"
STEPS = ("import", "describe", "compile", "load and attach", "whole process")
HEADERS = (Path("/lib/modules") / os.uname().release / "build", Path("/sys/kernel/kheaders.tar.xz"))


def main() -> int:
    """Measure, and print one table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--runs", metavar="N", type=int, default=RUNS, help="runs of each")
    parser.add_argument("--program", metavar="PATH", type=Path, help="has work(int); else gcc's")
    args = parser.parse_args()
    runs = args.runs
    if os.geteuid() != 0:
        print("bench: attaching needs root", file=sys.stderr)
        return 77
    with tempfile.TemporaryDirectory(prefix="bpfprobe-bench-") as folder:
        program = args.program or build_program(Path(folder))
        print(f"one uprobe with one argument, Linux {os.uname().release}, median of {runs} runs")
        modules, absent = [OURS], why_bcc_cannot_compile()
        if not absent:
            modules.append(BCC)
        medians = measure(modules, program, runs)
    for row in table(medians[OURS], medians.get(BCC, {})):
        print(row)
    if absent:
        print(f"BCC's Python: {absent}")
    return 0


def build_program(folder: Path) -> Path:
    """A program with a function to probe."""
    source, program = folder / "program.c", folder / "program"
    source.write_text(PROGRAM)
    subprocess.run(["gcc", "-O1", "-o", program, source], check=True)
    return program


def why_bcc_cannot_compile() -> str:
    """Why there is nothing to compare with; empty where there is."""
    if not any(path.exists() for path in HEADERS):
        return "it cannot compile here, for want of headers of this kernel"
    code = "import bcc; raise SystemExit(not hasattr(bcc, 'BPF'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    return "it is not installed (Debian: python3-bpfcc)" if done.returncode else ""


def measure(modules: list[str], program: Path, runs: int) -> dict[str, dict[str, float]]:
    """The median of each step of each module in seconds.

    They take turns, so that whatever else the machine does meets all of them, and the first turn
    does not count, so that all find their files in memory.
    """
    taken: dict[str, dict[str, list[float]]] = {module: {} for module in modules}
    for turn in range(runs + 1):
        for module in modules:
            for step, seconds in one_run(module, program).items():
                if turn:
                    taken[module].setdefault(step, []).append(seconds)
    return {
        module: {step: statistics.median(times) for step, times in steps.items()}
        for module, steps in taken.items()
    }


def one_run(module: str, program: Path) -> dict[str, float]:
    """What each step took, in a process of its own."""
    start = time.perf_counter()
    command = [sys.executable, "-m", module, str(program)]
    done = subprocess.run(command, stdout=subprocess.PIPE, timeout=TIMEOUT_S, check=True)
    steps = {"whole process": time.perf_counter() - start}
    for line in done.stdout.decode().splitlines():
        step, seconds = line.rsplit(" ", 1)
        steps[step] = float(seconds)
    return steps


def table(ours: dict[str, float], theirs: dict[str, float]) -> list[str]:
    """A line a step, in milliseconds; a ratio over 1 is in favour of bpfprobe."""
    rows = [f"{'':16} {'bpfprobe':>12} {'bcc':>12} {'bcc/bpfprobe':>14}"]
    for step in STEPS:
        mine, other = (milliseconds(times.get(step)) for times in (ours, theirs))
        both = step in ours and step in theirs
        ratio = f"{theirs[step] / ours[step]:.2f}" if both else "-"
        rows.append(f"{step:16} {mine:>12} {other:>12} {ratio:>14}")
    return rows


def milliseconds(seconds: float | None) -> str:
    """A time as a table shows it."""
    return "-" if seconds is None else f"{seconds * 1000:.1f} ms"


if __name__ == "__main__":
    sys.exit(main())
