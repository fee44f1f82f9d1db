"""What bpfprobe costs beside bcc's Python and bpftrace, measured side by side in one run.

Every contestant is a process of its own, and they take turns. What carries over from one machine to
another is the ratio: of two medians, with the lowest and highest ratio of a single turn.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.guest import has_kprobes, measure_in_guest
from tests.bench.headers import NoHeaders, fetch_headers, own_headers
from tests.bench.processes import build_producer
from tests.bench.report import CURVE_HEAD, RATIO_HEAD, Report, markdown_table, plain_table
from tests.bench.setting import Setting, choose_cpus
from tests.bench.workload import measure
from tests.bench.workloads import consumer, growth, instructions, kprobe, start, stream

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from tests.bench.figure import Samples
    from tests.bench.workload import Workload

WORKLOADS = (
    start.START,
    stream.STREAM,
    consumer.CONSUMER,
    instructions.INSTRUCTIONS,
    kprobe.KPROBE,
    growth.PROBES,
    growth.BYTES,
    growth.THREADS,
    growth.CHOICES,
)
RUNS, QUICK_RUNS = 7, 2


def main() -> int:
    """Measure, and print the tables; of what was measured until then if it is interrupted."""
    args = arguments()
    if os.geteuid() != 0:
        print("bench: attaching needs root", file=sys.stderr)
        return 77
    signal.signal(signal.SIGTERM, _exit_on_signal)
    chosen = [workload for workload in WORKLOADS if not args.only or workload.name in args.only]
    with tempfile.TemporaryDirectory(prefix="bpfprobe-bench-") as folder:
        setting = make_setting(
            Path(folder), args.runs or (QUICK_RUNS if args.quick else RUNS), args
        )
        measured: list[tuple[Workload, Samples]] = []
        try:
            for workload in chosen:
                measured.append((workload, measured_somewhere(workload, setting)))
        except KeyboardInterrupt:
            print("\nbench: interrupted; these were measured", file=sys.stderr)
    progress("")
    report = Report(machine_facts(), setting.runs, measured)
    if args.json:
        print(json.dumps(report.as_json(), indent=1))
    else:
        for line in text(report, markdown=args.markdown):
            print(line)
    return 0


def measured_somewhere(workload: Workload, setting: Setting) -> Samples:
    """Measure on this kernel, or in a guest what this kernel cannot do."""
    if workload.kprobes and not has_kprobes():
        return measure_in_guest(workload, setting, progress)
    return measure(workload, setting, progress)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    add, yes = parser.add_argument, "store_true"
    names = [workload.name for workload in WORKLOADS]
    add("--only", action="append", choices=names, help="this workload (repeatable)")
    add("--runs", metavar="N", type=int, help=f"turns of each contestant (default {RUNS})")
    add("--quick", action=yes, help=f"{QUICK_RUNS} turns and a tenth of the events: a rough idea")
    add("--producer", metavar="FILE", type=Path, help="producer.c, compiled; else gcc does it")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action=yes, help="everything, with each sample")
    form.add_argument("--markdown", action=yes, help="tables for a README")
    args = parser.parse_args()
    if args.runs is not None and args.runs < 1:
        parser.error("--runs takes a number from 1 on")
    return args


def make_setting(folder: Path, runs: int, args: argparse.Namespace) -> Setting:
    """What there is to measure with."""
    headers, without_bcc = None, _why_no_bcc()
    if not without_bcc and not own_headers():
        progress("fetching kernel headers for bcc")
        try:
            headers = fetch_headers(folder)
        except NoHeaders as error:
            without_bcc = f"no kernel headers: {error}"
    tracer_cpu, producer_cpu = choose_cpus()
    without_bpftrace = "" if shutil.which("bpftrace") else "it is not installed"
    for name, reason in (("bcc", without_bcc), ("bpftrace", without_bpftrace)):
        if reason:
            print(f"bench: without {name}: {reason}", file=sys.stderr)
    return Setting(
        folder=folder,
        runs=runs,
        quick=args.quick,
        producer=args.producer or build_producer(folder),
        headers=headers,
        without_bcc=without_bcc,
        without_bpftrace=without_bpftrace,
        tracer_cpu=tracer_cpu,
        producer_cpu=producer_cpu,
    )


def _why_no_bcc() -> str:
    code = "import bcc; raise SystemExit(not hasattr(bcc, 'BPF'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    return "it is not installed (Debian: python3-bpfcc)" if done.returncode else ""


def machine_facts() -> dict[str, str]:
    """What the figures were measured on."""
    facts = {
        "Linux": os.uname().release,
        "processor": platform.machine(),
        "processors": str(os.cpu_count()),
        "Python": platform.python_version(),
    }
    code = "import bcc; print(bcc.__version__)"
    for name, command in (
        ("bcc", [sys.executable, "-c", code]),
        ("bpftrace", ["bpftrace", "--version"]),
    ):
        if shutil.which(command[0]):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            facts[name] = done.stdout.strip().removeprefix("bpftrace v")
    return {name: value for name, value in facts.items() if value}


def text(report: Report, *, markdown: bool) -> list[str]:
    """The tables, and what is to be said below them."""
    table = markdown_table if markdown else plain_table
    facts = ", ".join(f"{name} {value}" for name, value in report.machine.items())
    lines = [f"{facts}; medians of {report.runs} turns", ""]
    for head, rows in ((RATIO_HEAD, report.ratio_rows()), (CURVE_HEAD, report.curve_rows())):
        if rows:
            lines += [*table(head, rows), ""]
    lost = [_lost(name, samples) for name, samples in _losses(report)]
    return [*lines, *lost, *report.notes()]


def _losses(report: Report) -> Sequence[tuple[str, float]]:
    return [
        (f"{workload.name}: {contestant}", spread.high)
        for workload, samples in report.measured
        for contestant in samples.values
        if (spread := samples.spread(contestant, "lost")) is not None and spread.high
    ]


def _lost(name: str, events: float) -> str:
    return f"{name} lost up to {events:.0f} events in a turn"


def progress(text: str) -> None:
    """One line that is written over, on a terminal only."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def _exit_on_signal(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
