"""A name is the argument's first: where that cannot be reached it is refused by name."""

from __future__ import annotations

import pytest

from bpfprobe.model.noun import replace
from bpfprobe.model.scalar import S32
from bpfprobe.model.value import Argument, Builtin, BuiltinValue, SyscallArgument, View
from bpfprobe.testing.static_target import FACTS
from tests.sample_machine import NO, bound, complaint, machine, value

FUNCTIONS = [
    "int far(struct never_declared both, int uid)",
    "int near(int pid, int cpu, u64 time)",
    "long __x64_sys_kill(const struct pt_regs *regs)",
]
TRACEPOINTS = {
    "syscalls:sys_enter_kill": ["long __syscall_nr", "pid_t pid", "int sig"],
    "syscalls:sys_exit_kill": ["long __syscall_nr", "long ret"],
}
TARGET = machine(functions=FUNCTIONS, tracepoints=TRACEPOINTS)


NO_TRACEFS = machine(replace(FACTS, tracefs=NO), functions=FUNCTIONS, tracepoints={})


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("p near pid", Argument(1, S32)),
        ("p near args->cpu", Argument(2, S32)),
        ("r near x=$pid", BuiltinValue(Builtin.PID)),
        ("syscall:kill pid", View(SyscallArgument(1), S32)),
        ("p far x=$uid", BuiltinValue(Builtin.UID)),
        ("p near+4 x=$pid", BuiltinValue(Builtin.PID)),
        ("p near+4 uid", BuiltinValue(Builtin.UID)),
    ],
)
def test_what_a_name_means(text: str, taken: object) -> None:
    assert value(text, TARGET) == taken


@pytest.mark.parametrize(
    "text", ["p far uid", "r far uid", "p far x=uid+1", "p far if uid == 3", "p far args.uid"]
)
def test_an_argument_out_of_reach_is_not_the_builtin(text: str) -> None:
    found = complaint(text, TARGET)
    assert found.code in ("STRUCT_ARGUMENT", "BAD_ARG_NUM")
    assert found.message.startswith("uid ")
    assert "$uid is the builtin" in (found.hint or "")
    assert bound("p far $uid if $uid == 3", TARGET)


@pytest.mark.parametrize("text", ["p near+4 pid", "p near+4 if cpu == 1", "p near+4 time"])
def test_inside_of_a_function_its_arguments_are_gone(text: str) -> None:
    found = complaint(text, TARGET)
    assert found.code == "NOSUP_BTFARG"
    assert "is there at its entry only" in found.message
    name = found.message.split()[0]
    assert bound(text.replace(name, f"${name}"), TARGET)


def test_a_system_call_whose_names_are_not_known() -> None:
    found = complaint("syscall:kill pid", NO_TRACEFS)
    assert (found.code, found.message) == (
        "AMBIGUOUS_NAME", "pid is an argument of kill, and a builtin too",
    )  # fmt: skip
    assert "$pid is the builtin" in (found.hint or "")
    assert bound("syscall:kill $pid uid $arg1", NO_TRACEFS)
