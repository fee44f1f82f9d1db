"""Where the calling conventions put arguments, and what is refused by name."""

from __future__ import annotations

import pytest

from bpfprobe.errors import SpecError, TargetError
from bpfprobe.model.arch import arch_named
from bpfprobe.model.ktype import KInt, KOther, KPointer, KStruct, KType, Parameter, Prototype
from bpfprobe.model.scalar import X64, Scalar
from bpfprobe.model.site import UserSite
from bpfprobe.model.value import Argument, Kept, Load, RegisterValue, Space
from bpfprobe.pipeline import describe
from bpfprobe.probes import probe
from bpfprobe.resolve.debug_arguments import argument_places
from bpfprobe.resolve.operand import NumberOperand
from bpfprobe.testing import StaticTarget

INT = KInt("int", 4, signed=True)
LONG = KInt("long", 8, signed=True)
DOUBLE = KOther("double", 8)
VOID = KOther("void")
SMALL = KStruct("struct small", "small", 16, 1, in_program=True)
BIG = KStruct("struct big", "big", 24, 2, in_program=True)
POINTER = KPointer("struct big *", BIG, user=True)


def places(types: list[KType], returned: KType = VOID, arch: str = "x86_64") -> list[object]:
    """The value of each argument, or the code of the refusal."""
    parameters = tuple(Parameter(f"p{n}", one) for n, one in enumerate(types))
    found = argument_places(Prototype("f", parameters, returned), arch_named(arch), returns=False)
    return [
        place.code if isinstance(place, TargetError) else place.value
        for _, place in found
        if isinstance(place, (TargetError, NumberOperand))
    ]


def stacked(offset: int, size: int = 4) -> Load:
    scalar = Scalar(size, True)
    return Load(RegisterValue(arch_named("x86_64").stack_pointer), offset, scalar, Space.USER)


def test_floats_take_no_register_of_numbers() -> None:
    assert places([INT, DOUBLE, POINTER, LONG]) == [
        Argument(1, Scalar(4, True)), "FLOAT_ARGUMENT", Argument(2, X64),
        Argument(3, Scalar(8, True)),
    ]  # fmt: skip


def test_the_seventh_is_on_the_stack_above_the_return_address() -> None:
    assert places([INT] * 8)[5:] == [Argument(6, Scalar(4, True)), stacked(8), stacked(16)]
    assert places([INT] * 9, arch="aarch64")[7:] == [Argument(8, Scalar(4, True)), "BAD_ARG_NUM"]


def test_the_ninth_float_takes_a_place_on_the_stack() -> None:
    assert places([INT] * 6 + [DOUBLE] * 9 + [INT])[-1] == stacked(16)


def test_a_large_struct_is_returned_through_a_hidden_argument() -> None:
    assert places([INT], BIG) == [Argument(2, Scalar(4, True))]
    assert places([INT], SMALL) == [Argument(1, Scalar(4, True))]
    assert places([INT], BIG, "aarch64") == [Argument(1, Scalar(4, True))]


@pytest.mark.parametrize("struct", [SMALL, BIG, KInt("__int128", 16, signed=True)])
def test_behind_a_struct_nothing_is_guessed(struct: KType) -> None:
    assert places([INT, struct, INT]) == [
        Argument(1, Scalar(4, True)), "STRUCT_ARGUMENT", "STRUCT_ARGUMENT",
    ]  # fmt: skip


def test_on_return_the_stack_is_read_at_entry() -> None:
    parameters = tuple(Parameter(f"p{n}", INT) for n in range(7))
    found = argument_places(Prototype("f", parameters, VOID), arch_named("x86_64"), returns=True)
    (*_, (_, last)) = found
    assert isinstance(last, NumberOperand)
    assert last.value == Kept(stacked(8))


TARGET = StaticTarget(
    binaries={"/bin/p": ["f", "bare"]},
    binary_functions={
        "/bin/p": [Prototype("f", (Parameter("n", INT), Parameter("pid", INT)), INT)]
    },
    lines={"/bin/p": {"p.c:42": [0x401100, 0x401180]}},
)


def test_a_builtin_keeps_its_meaning() -> None:
    """So that it does not change with debug information being installed."""
    made = describe([probe("uprobe:/bin/p:f n pid")], TARGET)
    (bound,) = made.bound.probes
    assert bound.captures[0].value == Argument(1, Scalar(4, True))
    assert not isinstance(bound.captures[1].value, Argument)


def test_without_debug_information_it_is_said_what_would_help() -> None:
    with pytest.raises(SpecError) as caught:
        describe([probe("uprobe:/bin/p:bare n")], TARGET)
    assert caught.value.code == "NOSUP_BTFARG"
    assert "build it with -g" in str(caught.value.hint)


def test_all_places_of_a_line() -> None:
    (bound,) = describe([probe("uprobe:/bin/p:p.c:42 tid")], TARGET).bound.probes
    sites = [site for site in (bound.site, *bound.more_sites) if isinstance(site, UserSite)]
    assert [(site.offset, site.symbol) for site in sites] == [
        (0x1100, "p.c:42"), (0x1180, "p.c:42"),
    ]  # fmt: skip
    with pytest.raises(SpecError) as caught:
        describe([probe("uprobe:/bin/p:p.c:43 tid")], TARGET)
    assert caught.value.code == "NO_DEBUG_INFO"
