"""Why the kernel said no: capabilities, lockdown, perf_event_paranoid, RLIMIT_MEMLOCK."""

from __future__ import annotations

import os
import resource

from bpfprobe.errors import PrivilegeError
from bpfprobe.model.noun import dataclass

CAP_SYS_ADMIN, CAP_PERFMON, CAP_BPF = 21, 38, 39  # <linux/capability.h>
_NAMES = {CAP_SYS_ADMIN: "CAP_SYS_ADMIN", CAP_PERFMON: "CAP_PERFMON", CAP_BPF: "CAP_BPF"}


@dataclass(frozen=True, slots=True)
class Privileges:
    """What this process may do, as far as it can be read.

    ``capabilities`` is the effective set as a mask; ``lockdown`` the mode in force (``none``,
    ``integrity``, ``confidentiality``; empty if unknown); ``paranoid`` is
    kernel.perf_event_paranoid (None if unknown).
    """

    capabilities: int
    lockdown: str
    paranoid: int | None

    def has(self, *capabilities: int) -> bool:
        """True if each of ``capabilities`` is effective."""
        return all(self.capabilities >> number & 1 for number in capabilities)

    @property
    def may_load(self) -> bool:
        """True if the capabilities suffice for a tracing program."""
        return self.has(CAP_SYS_ADMIN) or self.has(CAP_BPF, CAP_PERFMON)

    @property
    def held(self) -> str:
        """Those of the capabilities that matter here, for a message."""
        return ", ".join(name for cap, name in _NAMES.items() if self.has(cap)) or "none of them"


def read_privileges() -> Privileges:
    """Those of this process, now."""
    mask = 0
    for line in _text("/proc/self/status").splitlines():
        if line.startswith("CapEff:"):
            mask = int(line.split()[1], 16)
    lockdown = _text("/sys/kernel/security/lockdown")
    mode = lockdown.partition("[")[2].partition("]")[0]
    paranoid = _text("/proc/sys/kernel/perf_event_paranoid").strip()
    return Privileges(mask, mode, int(paranoid) if paranoid.lstrip("-").isdigit() else None)


def refuse_without_privilege() -> None:
    """Raise `PrivilegeError` where nothing can be traced, whatever is described.

    So what an unprivileged process cannot see of the machine is not taken for not being there.
    """
    privileges = read_privileges()
    if not privileges.has(CAP_SYS_ADMIN) and not privileges.has(CAP_BPF):
        raise _missing("trace", privileges)


def explain_refusal(action: str, privileges: Privileges) -> PrivilegeError:
    """The error for an EPERM or EACCES that comes from who asks, not from what is asked."""
    if privileges.lockdown == "confidentiality":
        return PrivilegeError(
            f"the kernel refused to {action}: lockdown=confidentiality forbids kernel probes and "
            "reads of kernel memory, to root too",
            hint="kernel_lockdown(7): boot with lockdown=integrity, or turn Secure Boot off",
            code="LOCKDOWN",
        )
    if privileges.may_load and not privileges.has(CAP_SYS_ADMIN) and (privileges.paranoid or 0) > 2:
        return PrivilegeError(
            f"the kernel refused to {action}: kernel.perf_event_paranoid={privileges.paranoid} "
            "asks for CAP_SYS_ADMIN",
            hint="sysctl kernel.perf_event_paranoid=2, or run as root",
            code="PARANOID",
        )
    if privileges.may_load:
        return PrivilegeError(
            f"the kernel refused to {action}, although the capabilities suffice: a container's "
            "seccomp filter or a security module, most likely",
            hint="allow bpf and perf_event_open in the container's seccomp profile",
        )
    return _missing(action, privileges)


def _missing(action: str, privileges: Privileges) -> PrivilegeError:
    return PrivilegeError(
        f"not allowed to {action}: root is needed, or CAP_BPF with CAP_PERFMON "
        f"(this process has {privileges.held})",
        hint="run it with sudo; `bpfprobe lab -- COMMAND` needs no privilege, nor does "
        "`bpfprobe explain`",
    )


def raise_file_limit() -> bool:
    """Raise the soft RLIMIT_NOFILE to the hard one, once it was reached; True if it was below.

    Only then: a program with more than 1,024 files cannot use select(2), and its children inherit
    the limit.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return False
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):  # a hard limit above sysctl fs.nr_open, which only root may keep
        return False
    return True


def raise_memlock(release: str) -> bool:
    """Raise RLIMIT_MEMLOCK as far as allowed, where BPF maps count against it (before 5.11).

    True if it was raised, so that another try makes sense. Later kernels charge the memory cgroup
    (commits around 97306be45fbe), and the limit is none of our business.
    """
    if not charges_memlock(release):
        return False
    soft, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    for wanted in ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), (hard, hard)):
        if wanted[0] == soft:
            return False
        try:
            resource.setrlimit(resource.RLIMIT_MEMLOCK, wanted)
        except (OSError, ValueError):
            continue  # without CAP_SYS_RESOURCE the hard limit stands: try up to that
        return True
    return False


def charges_memlock(release: str) -> bool:
    """True for a release (as uname(2) says it) that charges BPF maps to RLIMIT_MEMLOCK."""
    numbers = [int(part) for part in release.split("-")[0].split(".")[:2] if part.isdigit()]
    return len(numbers) == 2 and tuple(numbers) < (5, 11)


def memlock_kb() -> int | None:
    """The limit in kB, None if there is none."""
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    return None if soft == resource.RLIM_INFINITY else soft // 1024


def kernel_release() -> str:
    """The running kernel's release."""
    return os.uname().release


def _text(path: str) -> str:
    """The file, or nothing where it is not there or not for us: then nothing is known."""
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""
