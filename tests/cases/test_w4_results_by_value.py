"""What a function returns by value is there by its members, or is refused with the reason."""

from __future__ import annotations

from typing import Any

import pytest

from bpfprobe.errors import TargetError
from bpfprobe.model.arch import arch_named
from bpfprobe.model.ktype import KArray, KInt, KPointer, KStruct, Member
from bpfprobe.model.noun import replace
from bpfprobe.model.scalar import S32, U32, X64
from bpfprobe.model.value import Argument, Kept, Load, RegisterValue, ReturnValue, View
from bpfprobe.resolve.convention import passing_of
from tests.sample_machine import FACTS, STRUCTS, complaint, machine, value

MORE = {
    "id": "u32 val;",
    "when": "long sec; long nsec;",
    "mixed": "int number; char letter;",
    "large": "long a; long b; long c;",
    "nothing": "",
}
FUNCTIONS = [
    "struct id make_id(int n)",
    "struct when now(struct id who, int n)",
    "struct mixed mix(int n)",
    "struct large collect(int first, struct when at, int last)",
    "struct nothing none(int n)",
]
X86 = machine(functions=FUNCTIONS, structs={**STRUCTS, **MORE})
ARM = machine(replace(FACTS, arch="aarch64"), functions=FUNCTIONS, structs={**STRUCTS, **MORE})
REGISTERS = {X86: ("ax", "di"), ARM: ("regs[0]", "regs[0]")}


@pytest.mark.parametrize("target", [X86, ARM], ids=["x86-64", "arm64"])
def test_in_registers(target: Any) -> None:
    for text in ("$retval", "retval", "$retval.val"):
        assert value(f"kretprobe:make_id v={text}", target) == View(ReturnValue(X64), U32)
    assert value("kretprobe:now v=$retval.nsec", target).value == ReturnValue(X64, 1)
    assert value("kretprobe:mix v=$retval.number", target) == View(ReturnValue(X64), S32)
    whole = complaint("kretprobe:mix $retval", target)
    assert (whole.code, whole.hint) == ("BAD_TYPE", "take its members: $retval.NAME")
    assert "struct mixed) by value, 8 bytes in %" in whole.message
    assert complaint("kretprobe:none $retval", target).code == "NO_RETVAL"
    assert complaint("kretprobe:now v=entry($retval.nsec)", target).code == "RETVAL_ON_PROBE"
    assert complaint("kprobe:now v=$retval.nsec", target).code == "RETVAL_ON_PROBE"
    assert value("kprobe:now n", target) == Argument(2, S32)


def test_in_memory_that_the_caller_names() -> None:
    """On x86-64 the hidden argument comes first; on arm64 it has a register of its own."""
    on_x86, on_arm = (value("kretprobe:collect v=$retval.c", target) for target in (X86, ARM))
    assert isinstance(on_x86, Load)
    assert isinstance(on_arm, Load)
    assert (on_x86.base, on_x86.offset) == (ReturnValue(X64), 16)
    assert (on_arm.base, on_arm.offset) == (Kept(RegisterValue("regs[8]")), 16)
    assert value("kprobe:collect first", X86) == Argument(2, S32)
    assert value("kprobe:collect last", X86) == Argument(5, S32)
    assert value("kprobe:collect last", ARM) == Argument(4, S32)


@pytest.mark.parametrize("arch", ["x86_64", "aarch64"])
def test_a_type_without_end_is_not_followed(arch: str) -> None:
    """As a damaged file has it."""
    inside = KStruct("struct s", "s", 8, 1)
    many = KArray("struct s[9]", inside, 9, 72)
    for part in (inside, many):
        circle = (Member("a", KInt("char", 1, signed=True), 0), Member("b", part, 0))
        assert passing_of(inside, lambda _, circle=circle: circle, arch_named(arch)) is None

    def declared(_: KStruct) -> tuple[Member, ...]:
        raise TargetError("only its name is known", code="INCOMPLETE_TYPE")

    assert passing_of(inside, declared, arch_named(arch)) is None
    pointer = (Member("next", KPointer("struct s *", inside), 0),)
    assert passing_of(inside, lambda _: pointer, arch_named(arch)) is not None
