"""What this process may do: capabilities, the sysctls that stand in for them, limits."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bpfprobe.model.noun import dataclass
from bpfprobe.target.checks.check import Check

if TYPE_CHECKING:
    from bpfprobe.target.files import Reading

CAPABILITIES = {
    "CAP_IPC_LOCK": 14,
    "CAP_SYS_PTRACE": 19,
    "CAP_SYS_ADMIN": 21,
    "CAP_SYS_RESOURCE": 24,
    "CAP_SYSLOG": 34,
    "CAP_PERFMON": 38,
    "CAP_BPF": 39,
}
"""Those that matter here, with their bits (<linux/capability.h>)."""

_ENOUGH_LOCKED = 64 << 20  # bytes; the default maps and buffers need a tenth of it
_ALL_IDS = 4294967295  # in the first line of uid_map: the initial user namespace


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """From /proc/self/status: effective capabilities (None: not said) and the mode of seccomp."""

    effective: int | None
    seccomp: int | None

    def has(self, *names: str) -> bool:
        """Whether all of these capabilities are effective."""
        bits = self.effective or 0
        return all(bits >> CAPABILITIES[name] & 1 for name in names)

    @property
    def may_load(self) -> bool:
        """CAP_BPF with CAP_PERFMON (Linux 5.8), or CAP_SYS_ADMIN, which is both."""
        return self.has("CAP_SYS_ADMIN") or self.has("CAP_BPF", "CAP_PERFMON")


def read_status(text: str) -> ProcessStatus:
    """From the text of /proc/PID/status (proc_pid_status(5))."""
    effective = re.search(r"^CapEff:\s*([0-9a-f]+)", text, re.MULTILINE)
    seccomp = re.search(r"^Seccomp:\s*(\d)", text, re.MULTILINE)
    return ProcessStatus(
        int(effective[1], 16) if effective else None, int(seccomp[1]) if seccomp else None
    )


def capabilities(status: ProcessStatus, uid_map: str, unprivileged: Reading) -> Check:
    """Whether programs may be loaded and probes attached."""
    if status.effective is None:
        return Check("privilege", None, "/proc/self/status names no capabilities", "run as root")
    held = [name for name in CAPABILITIES if status.has(name)]
    evidence = ", ".join(held) or "no capability that counts here"
    first = uid_map.split()
    if status.may_load and len(first) >= 3 and int(first[2]) != _ALL_IDS:
        return Check(
            "privilege",
            False,
            f"{evidence}, but in a user namespace: they count for nothing outside it",
            "run as root of the machine, not of a rootless container",
        )
    if status.may_load:
        return Check("privilege", True, evidence)
    if unprivileged.text == "0":
        evidence += "; kernel.unprivileged_bpf_disabled=0 allows socket filters, never probes"
    return Check(
        "privilege",
        False,
        evidence,
        "run as root, or give CAP_BPF and CAP_PERFMON (Linux 5.8), else CAP_SYS_ADMIN",
    )


def perf_paranoid(status: ProcessStatus, level: Reading) -> Check:
    """Whether perf_event_open(2) is open to this process; ``level`` is perf_event_paranoid."""
    if level.text is None:
        return Check("perf events", None, level.problem, "CONFIG_PERF_EVENTS=y makes the file")
    evidence = f"kernel.perf_event_paranoid={level.text}"
    if status.has("CAP_SYS_ADMIN") or status.has("CAP_PERFMON"):
        return Check("perf events", True, f"{evidence}, which this process stands above")
    if level.text == "-1":
        return Check("perf events", True, evidence)
    return Check("perf events", False, evidence, "run as root, or give CAP_PERFMON")


def seccomp(status: ProcessStatus) -> Check:
    """Whether a filter may refuse bpf(2) and perf_event_open(2), as Docker's own does."""
    if status.seccomp is None:
        return Check("seccomp", None, "/proc/self/status does not say")
    if status.seccomp == 0:
        return Check("seccomp", True, "no filter")
    return Check(
        "seccomp",
        None,
        f"mode {status.seccomp}: a filter may refuse bpf(2) and perf_event_open(2)",
        "run the container with --privileged, or --security-opt seccomp=unconfined",
    )


def memlock(status: ProcessStatus, limits: Reading) -> Check:
    """Whether memory for buffers, and before Linux 5.11 for maps, may be locked."""
    found = re.search(r"^Max locked memory\s+(\S+)", limits.text or "", re.MULTILINE)
    if not found:
        return Check("locked memory", None, limits.problem or f"{limits.path} does not say")
    limit = found[1]
    shown = "unlimited" if limit == "unlimited" else f"{int(limit) >> 10} kB"
    above = [name for name in ("CAP_IPC_LOCK", "CAP_SYS_RESOURCE") if status.has(name)]
    if above:
        return Check("locked memory", True, f"{shown}, and {above[0]} stands above the limit")
    if limit == "unlimited" or int(limit) >= _ENOUGH_LOCKED:
        return Check("locked memory", True, shown)
    return Check(
        "locked memory",
        None,
        f"{shown}: enough for few maps and small buffers",
        "ulimit -l unlimited, or LimitMEMLOCK=infinity in a unit of systemd",
    )
