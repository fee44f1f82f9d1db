"""What a run of the benchmarks has at hand."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONTESTANTS = Path(__file__).parent / "contestants"


@dataclass(frozen=True, slots=True)
class Setting:
    """``folder`` is private and removed at the end; ``headers`` are what bcc compiles against.

    ``headers`` of None: bcc finds those of the running kernel itself. ``without_bcc`` says why bcc
    cannot take part, and is empty where it can.
    """

    folder: Path
    runs: int
    quick: bool
    producer: Path
    headers: Path | None
    without_bcc: str = ""
    without_bpftrace: str = ""
    tracer_cpu: int | None = None
    producer_cpu: int | None = None
    counts: dict[str, int] = field(default_factory=dict)

    def environment(self, cache: Path | None = None) -> dict[str, str]:
        """Of every contestant; ``cache`` is where bpfprobe keeps what it compiled."""
        made = {**os.environ, "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8"}
        # All run from bytecode, as installed programs do, and none is left in the checkout.
        made.pop("PYTHONDONTWRITEBYTECODE", None)
        made["PYTHONPYCACHEPREFIX"] = str(self.folder / "bytecode")
        made["BPFPROBE_CACHE"] = str(cache or self.folder / "cache")
        if self.headers is not None:
            made["BCC_KERNEL_SOURCE"] = str(self.headers)
        return made

    def python(self, contestant: str, *arguments: object) -> list[str]:
        """The command line of a contestant."""
        return [sys.executable, str(CONTESTANTS / f"{contestant}.py"), *map(str, arguments)]

    def installed(self, contestant: str, *arguments: object) -> list[str]:
        """The same by the distribution's Python, as installed programs are run.

        The checkout's virtual environment has a bpfprobe that can be edited, and what finds it
        makes every start longer.
        """
        python: str = getattr(sys, "_base_executable", sys.executable)
        return [python, *self.python(contestant, *arguments)[1:]]

    def count(self, events: int) -> int:
        """How many events to ask for where so many are good."""
        return max(events // 10, 1009) if self.quick else events


def choose_cpus() -> tuple[int | None, int | None]:
    """One for the tracer and another for what is traced, where there are two."""
    cpus = sorted(os.sched_getaffinity(0))
    return (cpus[0], cpus[-1]) if len(cpus) > 1 else (None, None)
