"""What the kernel has, each with the way out for who lacks it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.target.checks.check import Check, from_answer

if TYPE_CHECKING:
    from bpfprobe.model.machine import Answer, MachineFacts
    from bpfprobe.target.files import Reading

IN_A_GUEST = "`bpfprobe lab -- COMMAND` runs it in a guest that has them"


def features(facts: MachineFacts) -> list[Check]:
    """A check for each answer of the facts."""
    return [
        lockdown(facts.lockdown),
        from_answer(
            "BTF", facts.btf,
            "arguments by name and struct members need it; $argN and registers do not",
        ),
        from_answer("kprobes", facts.kprobes, IN_A_GUEST),
        from_answer("kprobe PMU", facts.kprobe_pmu, "" if facts.kprobes.present else IN_A_GUEST),
        from_answer(
            "uprobes", facts.uprobe_pmu, "a kernel with CONFIG_UPROBE_EVENTS=y (Linux 4.17)"
        ),
        from_answer("tracefs", facts.tracefs, _tracefs_way_out(facts.tracefs)),
        from_answer(
            "ring buffer", facts.ring_buffer, "not needed: perf buffers are used in its place"
        ),
        from_answer("fentry", facts.fentry, "not needed: kprobes are used in its place"),
        from_answer("BPF links", facts.bpf_link, "not needed: ioctl(2) attaches in their place"),
    ]  # fmt: skip


def lockdown(answer: Answer) -> Check:
    """Lockdown as something to be free of; ``integrity`` leaves BPF all that it needs."""
    if answer.present is None:
        return Check("lockdown", None, answer.evidence, "root reads it where securityfs is mounted")
    if answer.evidence.startswith("confidentiality"):
        return Check(
            "lockdown", False, answer.evidence,
            "kernel memory cannot be read: boot with lockdown=integrity, or without Secure Boot",
        )  # fmt: skip
    return Check("lockdown", True, answer.evidence)


def kernel_addresses(restrict: Reading, hidden: bool | None) -> Check:
    """Whether /proc/kallsyms shows addresses; names, and so probes, work without."""
    evidence = f"kernel.kptr_restrict={restrict.text}" if restrict.text else restrict.problem
    if hidden is None:
        return Check("kernel addresses", None, evidence, "CONFIG_KALLSYMS=y makes /proc/kallsyms")
    if not hidden:
        return Check("kernel addresses", True, evidence)
    return Check(
        "kernel addresses",
        False,
        f"{evidence}: /proc/kallsyms shows none to this process",
        "probes by name work; names in kernel stacks need CAP_SYSLOG and kptr_restrict below 2",
    )


def _tracefs_way_out(answer: Answer) -> str:
    if answer.present is None:
        return "run as root: tracepoints, and the lists of what can be probed, are in it"
    return "tracepoints, and the lists of what can be probed, are in it"
