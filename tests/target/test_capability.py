from __future__ import annotations

import errno

import pytest

from bpfprobe.model.machine import Answer
from bpfprobe.target import capability
from bpfprobe.target.files import Reading
from bpfprobe.target.kernel_config import KernelConfig

NOWHERE = KernelConfig(None)
MISSING = Reading("/sys/x", None, errno.ENOENT)
DENIED = Reading("/sys/x", None, errno.EACCES)


def said(text: str) -> Reading:
    return Reading("/sys/x", text.encode())


def config(text: str) -> KernelConfig:
    return KernelConfig(text, "/boot/config")


def test_config() -> None:
    known = config('CONFIG_KPROBES=y\n# CONFIG_BPF_LSM is not set\nCONFIG_LSM="a,b"\n')
    assert known.value("KPROBES") == "y"
    assert known.value("KPROBE") == "n"
    assert known.value("BPF_LSM") == "n"
    assert known.value("LSM") == "a,b"
    assert NOWHERE.value("KPROBES") is None


@pytest.mark.parametrize(
    ("known", "pmu", "armed", "ftrace", "symbol", "present", "evidence"),
    [
        (NOWHERE, said("6"), MISSING, MISSING, None, True, "/sys/x is there"),
        (config("CONFIG_KPROBES=y\nCONFIG_KPROBE_EVENTS=y"), MISSING, said("1"), said("1"), None,
         True, "CONFIG_KPROBES=y"),
        (config("CONFIG_KPROBES=y"), MISSING, MISSING, MISSING, True, False, "KPROBE_EVENTS"),
        (config(""), MISSING, MISSING, MISSING, True, False, "without CONFIG_KPROBES"),
        (NOWHERE, MISSING, MISSING, MISSING, True, True, "has register_kprobe"),
        (NOWHERE, MISSING, MISSING, MISSING, False, False, "has no register_kprobe"),
        (NOWHERE, DENIED, MISSING, MISSING, None, None, "Permission denied"),
        (NOWHERE, said("6"), said("0"), said("1"), True, False, "is 0"),
        (NOWHERE, said("6"), said("1"), said("0"), True, False, "ftrace_enabled is 0"),
    ],
)  # fmt: skip
def test_kprobes(
    known: KernelConfig, pmu: Reading, armed: Reading, ftrace: Reading, symbol: bool | None,
    present: bool | None, evidence: str,
) -> None:  # fmt: skip
    answer = capability.kprobes(known, pmu, armed, ftrace, lambda: symbol)
    assert answer.present is present
    assert evidence in answer.evidence


@pytest.mark.parametrize(
    ("type_file", "retprobe", "present", "evidence"),
    [
        (said("6"), said("config:0"), True, "/sys/x is 6, retprobe config:0"),
        (said("6"), MISSING, True, "/sys/x is 6"),
        (MISSING, MISSING, False, "no kprobe PMU"),
        (DENIED, MISSING, None, "Permission denied"),
    ],
)
def test_pmu(type_file: Reading, retprobe: Reading, present: bool | None, evidence: str) -> None:
    answer = capability.pmu("kprobe", type_file, retprobe)
    assert answer.present is present
    assert evidence in answer.evidence


def test_tracefs_that_may_not_be_read_is_not_absent() -> None:
    assert capability.tracefs(None, None).present is False
    assert capability.tracefs("/t", DENIED).present is None
    assert capability.tracefs("/t", said("sched")) == Answer(True, "/t")


@pytest.mark.parametrize(
    ("state", "known", "present", "first"),
    [
        (said("[none] integrity confidentiality"), NOWHERE, False, "none"),
        (said("none [integrity] confidentiality"), NOWHERE, True, "integrity"),
        (said("none integrity [confidentiality]"), NOWHERE, True, "confidentiality"),
        (MISSING, config(""), False, "none:"),
        (MISSING, config("CONFIG_SECURITY_LOCKDOWN_LSM=y"), None, "/sys/x:"),
        (DENIED, NOWHERE, None, "/sys/x:"),
    ],
)
def test_lockdown(state: Reading, known: KernelConfig, present: bool | None, first: str) -> None:
    answer = capability.lockdown(state, known)
    assert answer.present is present
    assert answer.evidence.split()[0] == first


def test_a_feature_is_told_by_btf_then_by_kallsyms() -> None:
    def ask(there: bool | None, symbol: bool | None) -> bool | None:
        return capability.by_enumerator("RING", "kinds", there, "ring", lambda: symbol).present

    assert ask(True, False) is True
    assert ask(False, True) is False
    assert ask(None, True) is True
    assert ask(None, None) is None


def test_fentry_is_never_claimed_on_hope() -> None:
    yes = Answer(True, "there")
    functions = said("vfs_read")

    def ask(
        types: Answer, known: KernelConfig, traceable: Reading | None, trampoline: bool
    ) -> bool | None:
        return capability.fentry(types, known, lambda: traceable, lambda: trampoline).present

    assert ask(Answer(False, "no"), NOWHERE, functions, True) is False
    assert ask(yes, config("CONFIG_BPF_JIT=y"), functions, True) is False
    assert ask(yes, NOWHERE, functions, False) is False
    assert ask(yes, NOWHERE, None, True) is None
    assert ask(yes, NOWHERE, DENIED, True) is None
    assert ask(yes, NOWHERE, said(""), True) is False
    assert ask(yes, NOWHERE, functions, True) is True


@pytest.mark.parametrize(("text", "count"), [("0", 1), ("0-3", 4), ("0-3,8,10-11\n", 7), ("", 0)])
def test_cpus(text: str, count: int) -> None:
    assert capability.count_cpus(text) == count
