"""Who puts the caller into a stack at the first instruction of a function, kernel by kernel."""

from __future__ import annotations

from dataclasses import replace

import pytest

import bpfprobe as bp
from bpfprobe.check.reliances import reliances
from bpfprobe.model.machine import BinarySymbol, FileOffset, Instruction, VirtualAddress
from bpfprobe.model.stack import Caller, StackValue
from bpfprobe.pipeline import Compilation, describe
from bpfprobe.testing import StaticTarget
from bpfprobe.testing.static_target import FACTS

BEGINNINGS = {
    "push": "55 48 89 e5",
    "endbr": "f3 0f 1e fa 55",
    "lea": "8d 47 01",
    "sub": "48 83 ec 18",
    "ret": "c3",
    "wide": "41 55",  # push %r13
    "main.cold": "90",
    "_start": "31 ed",
    "bti": "5f 24 03 d5 fd 7b bf a9",
}
OFFSETS = {name: 0x1000 + 0x100 * number for number, name in enumerate(BEGINNINGS)}
TASKS = {
    "none": {"uprobe_task": "int state; long vaddr;"},
    "push": {"uprobe_task": "int state; struct arch_uprobe *auprobe; long vaddr;"},
    "unknown": {},
}
KERNEL, PROGRAM, UNKNOWN = Caller.KERNEL, Caller.PROGRAM, Caller.UNKNOWN


def target(kernel: str, arch: str = "x86_64") -> StaticTarget:
    """A machine whose kernel looks at ``push %rbp``, at ``endbr64`` as well, or at nothing."""
    symbols = [
        BinarySymbol(name, VirtualAddress(0x400000 + at), FileOffset(at), 0x80)
        for name, at in OFFSETS.items()
    ]
    code = [Instruction(FileOffset(at), encoding=BEGINNINGS[name]) for name, at in OFFSETS.items()]
    code.append(Instruction(FileOffset(OFFSETS["endbr"] + 4), encoding="55"))
    code.append(Instruction(FileOffset(OFFSETS["bti"] + 4), encoding="fd 7b bf a9"))
    return StaticTarget(
        functions=["vfs_open", *(["u64 ibt_save(bool disable)"] if kernel == "endbr" else [])],
        structs=TASKS["push" if kernel == "endbr" else kernel],
        binaries={"/bin/app": symbols},
        instructions={"/bin/app": code},
        facts=replace(FACTS, arch=arch),
    )


def made(probe: bp.Probe, kernel: str, arch: str = "x86_64") -> Compilation:
    return describe([probe], target(kernel, arch), bp.Options())


def callers(made: Compilation) -> tuple[Caller, ...]:
    (capture,) = made.bound.probes[0].captures
    assert isinstance(capture.value, StackValue)
    return capture.value.callers


@pytest.mark.parametrize(
    ("place", "none", "push", "endbr", "unknown"),
    [
        ("push", PROGRAM, KERNEL, KERNEL, UNKNOWN),
        ("endbr", PROGRAM, PROGRAM, KERNEL, UNKNOWN),
        ("endbr+4", PROGRAM, KERNEL, KERNEL, UNKNOWN),
        ("lea", PROGRAM, PROGRAM, PROGRAM, PROGRAM),
        ("sub", PROGRAM, PROGRAM, PROGRAM, PROGRAM),
        ("ret", PROGRAM, PROGRAM, PROGRAM, PROGRAM),
        ("wide", PROGRAM, PROGRAM, PROGRAM, PROGRAM),
        ("push+1", KERNEL, KERNEL, KERNEL, KERNEL),
        ("lea+3", KERNEL, KERNEL, KERNEL, KERNEL),
        ("main.cold", KERNEL, KERNEL, KERNEL, KERNEL),
        ("_start", KERNEL, KERNEL, KERNEL, KERNEL),
    ],
)
def test_the_instruction_and_the_kernel_decide(
    place: str, none: Caller, push: Caller, endbr: Caller, unknown: Caller
) -> None:
    probe = bp.uprobe("/bin/app", place, stack="ustack", force=True)
    found = [callers(made(probe, kernel)) for kernel in ("none", "push", "endbr", "unknown")]
    assert found == [(none,), (push,), (endbr,), (unknown,)]


def test_a_place_by_number_is_looked_up() -> None:
    lea = OFFSETS["lea"]
    for where, caller in ((lea, PROGRAM), (lea + 3, KERNEL), (lea + 0x90, KERNEL)):
        probe = bp.uprobe("/bin/app", offset=where, stack="ustack", force=True)
        assert callers(made(probe, "none")) == (caller,)


def test_a_glob_has_a_program_for_each_answer() -> None:
    plan = made(bp.uprobe("/bin/app", "*", stack="ustack"), "push").plan.probes[0]
    groups = (plan.bound.site, *plan.bound.more_sites)
    found = {
        name: (caller, group.first + number)
        for group, caller in zip(groups, (KERNEL, PROGRAM), strict=True)
        for number, name in enumerate(group.names)  # type: ignore[union-attr]  # all are UserSites
    }
    ours = {"endbr", "lea", "sub", "ret", "wide", "bti"}
    assert {name for name, (caller, _) in found.items() if caller is PROGRAM} == ours
    assert sorted(number for _, number in found.values()) == [*range(len(BEGINNINGS))]
    assert plan.shared_programs == (0, 1)


def test_returns_and_other_values_are_as_they_were() -> None:
    assert callers(made(bp.uretprobe("/bin/app", "lea", stack="ustack"), "none")) == ()
    assert callers(made(bp.kprobe("vfs_open", stack="kstack"), "none")) == ()
    plain = made(bp.uprobe("/bin/app", "*", n="$arg1"), "push").plan.probes[0].bound
    assert plain.more_sites == ()


@pytest.mark.parametrize("place", ["push", "bti", "bti+4"])
def test_arm64_takes_the_link_register(place: str) -> None:
    probe = bp.uprobe("/bin/app", place, stack="ustack", force=True)
    found = made(probe, "unknown", "aarch64")
    assert callers(found) == (PROGRAM,)
    assert "= REGISTER(regs[30]);" in found.source.text
    assert "probe_read_user(" not in found.source.text.split("wake(")[-1]


def test_arm64_has_the_caller_of_a_kernel_function_too() -> None:
    found = made(bp.kprobe("vfs_open", stack="kstack"), "none", "aarch64")
    assert callers(found) == (UNKNOWN,)
    assert "[2] != REGISTER(regs[30])" in found.source.text
    assert callers(made(bp.kretprobe("vfs_open", stack="kstack"), "none", "aarch64")) == ()
    inside = bp.kprobe("vfs_open+4", stack="kstack")
    assert callers(made(inside, "none", "aarch64")) == ()


def test_an_object_for_another_kernel_says_what_differs() -> None:
    probe = bp.uprobe("/bin/app", "push", stack="ustack")
    said = {
        kernel: [each.how for each in reliances(made(probe, kernel).bound.probes[0], target(kernel))
                 if "the caller" in each.what]
        for kernel in ("none", "push")
    }  # fmt: skip
    assert said == {"none": ["put in by the program"], "push": ["put in by the kernel"]}
