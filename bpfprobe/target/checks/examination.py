"""All checks of a machine, and what they add up to."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bpfprobe.model.noun import dataclass
from bpfprobe.target.checks import kernel, libraries, privilege
from bpfprobe.target.files import Files
from bpfprobe.target.kallsyms import Kallsyms
from bpfprobe.target.live import LiveTarget

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bpfprobe.model.machine import MachineFacts
    from bpfprobe.target.checks.check import Check


@dataclass(frozen=True, slots=True)
class Examination:
    """The checks in the order in which they are shown, and the verdict.

    ``works`` is true where probes can be compiled and attached here: kprobes, or at least uprobes.
    """

    release: str
    arch: str
    checks: tuple[Check, ...]
    verdict: str
    works: bool


def examine(root: Path = Path("/"), search: Iterable[Path] | None = None) -> Examination:
    """Check the machine under ``root``; ``search`` is where Python packages are looked for.

    Reads only: loads no library, calls neither bpf(2) nor perf_event_open(2).
    """
    files = Files(root)
    facts = LiveTarget(root).facts()
    status = privilege.read_status(files.read("/proc/self/status").text or "")
    libbcc = libraries.find_libraries(files, "libbcc.so.0", facts.arch)
    libbpf = libraries.find_libraries(files, "libbpf.so.1", facts.arch)
    bindings = libraries.find_bindings(_python_path(files) if search is None else search)
    checks = (
        privilege.capabilities(
            status,
            files.read("/proc/self/uid_map").text or "",
            files.read("/proc/sys/kernel/unprivileged_bpf_disabled"),
        ),
        privilege.perf_paranoid(status, files.read("/proc/sys/kernel/perf_event_paranoid")),
        privilege.seccomp(status),
        privilege.memlock(status, files.read("/proc/self/limits")),
        *kernel.features(facts),
        kernel.kernel_addresses(files.read("/proc/sys/kernel/kptr_restrict"), _hidden(files)),
        libraries.library("libbcc.so.0", libbcc, "it compiles probes", "libbpfcc"),
        libraries.library("libbpf.so.1", libbpf, "it reads kernel types", "libbpf1"),
        libraries.python_binding(bindings, libbcc),
    )
    works, verdict = conclude(facts, status.may_load, bool(libbcc))
    return Examination(facts.release, facts.arch, checks, verdict, works)


def conclude(facts: MachineFacts, privileged: bool, has_compiler: bool) -> tuple[bool, str]:
    """Whether the main job can be done, and a line that says what can."""
    if not has_compiler:
        return False, "probes can be checked and explained, not compiled: apt install libbpfcc"
    kinds = [
        ("kprobes", facts.kprobes),
        ("uprobes", facts.uprobe_pmu),
        ("tracepoints", facts.tracefs),
    ]
    able = [name for name, answer in kinds if answer.present]
    lacking = [
        f"{name}: {'no' if answer.present is False else 'cannot be told'} ({answer.evidence})"
        for name, answer in kinds
        if not answer.present
    ]
    if not facts.kprobes.present and lacking:
        lacking[0] += f" -> {kernel.IN_A_GUEST}"
    there = f"{', '.join(able) or 'no probes'} can be attached here"
    if not privileged:
        there = f"{', '.join(able) or 'no probes'} could be attached here by root"
    works = privileged and bool({"kprobes", "uprobes"} & set(able))
    return works, "; ".join([there, *lacking])


def _python_path(files: Files) -> list[Path]:
    """Where this Python looks, then where distributions put what a venv does not see."""
    system = [files.real("/usr/lib/python3/dist-packages")]
    return [Path(entry or os.curdir) for entry in sys.path] + system


def _hidden(files: Files) -> bool | None:
    read = files.read("/proc/kallsyms", most=1 << 16)
    return None if read.data is None else Kallsyms(read.data).addresses_hidden
