"""Where the calling conventions put arguments, and what is refused by name."""

from __future__ import annotations

import pytest

from bpfprobe.errors import TargetError
from bpfprobe.model.arch import arch_named
from bpfprobe.model.ktype import (
    KFloat,
    KInt,
    KOther,
    KPointer,
    KStruct,
    KType,
    Member,
    Parameter,
    Prototype,
)
from bpfprobe.model.noun import replace
from bpfprobe.model.scalar import F64, X64, Scalar
from bpfprobe.model.value import Argument, Kept, Load, RegisterValue, Space
from bpfprobe.resolve.convention import passing_of
from bpfprobe.resolve.operand import ByValueOperand, MemoryOperand, NumberOperand, Operand
from bpfprobe.resolve.passing import argument_places
from tests.by_value import by_value, members

INT = KInt("int", 4, signed=True)
INT4 = Scalar(4, True)
INT128 = KInt("__int128", 16, signed=True)
LONG = KInt("long", 8, signed=True)
DOUBLE = KFloat("double", 8)
LONG_DOUBLE = KOther("long double", 16, is_float=True, base="long double")
VOID = KOther("void")
SMALL = by_value("?", 16)
BIG = by_value("III")
STACK = RegisterValue(arch_named("x86_64").stack_pointer)
POINTER = KPointer("struct big *", BIG, user=True)


def places(types: list[KType], returned: KType = VOID, arch: str = "x86_64") -> list[object]:
    """The value of each argument, or the code of the refusal."""
    parameters = tuple(Parameter(f"p{n}", one) for n, one in enumerate(types))
    found = placed(Prototype("f", parameters, returned), arch=arch)
    return [shown(place) for _, place in found]


def placed(
    prototype: Prototype, *, arch: str = "x86_64", returns: bool = False
) -> list[tuple[Parameter, Operand | TargetError]]:
    def of(struct: KStruct) -> tuple[Member, ...]:
        if not struct.size and not struct.type_id:
            raise TargetError("only declared", code="INCOMPLETE_TYPE")
        return members(struct)

    return [*argument_places(prototype, arch_named(arch), of, space=Space.USER, returns=returns)]


def shown(place: Operand | TargetError) -> object:
    if isinstance(place, TargetError):
        return place.code
    if isinstance(place, MemoryOperand):
        return place.base, place.offset
    if isinstance(place, ByValueOperand):
        return place.eights
    assert isinstance(place, NumberOperand)
    return place.value


def stacked(offset: int, scalar: Scalar = INT4) -> Load:
    return Load(STACK, offset, scalar, Space.USER)


def test_floats_take_no_register_of_numbers() -> None:
    assert places([INT, DOUBLE, POINTER, LONG]) == [
        Argument(1, Scalar(4, True)), "FLOAT_ARGUMENT", Argument(2, X64),
        Argument(3, Scalar(8, True)),
    ]  # fmt: skip


def test_the_seventh_is_on_the_stack_above_the_return_address() -> None:
    assert places([INT] * 8)[5:] == [Argument(6, Scalar(4, True)), stacked(8), stacked(16)]
    on_arm = places([INT] * 10, arch="aarch64")
    assert on_arm[7:] == [Argument(8, Scalar(4, True)), stacked(0), stacked(8)]


def test_the_ninth_float_is_memory() -> None:
    found = places([INT] * 6 + [DOUBLE] * 9 + [INT])
    assert found[6:] == ["FLOAT_ARGUMENT"] * 8 + [
        Load(STACK, 8, F64, Space.USER), stacked(16),
    ]  # fmt: skip


def test_a_large_struct_is_returned_through_a_hidden_argument() -> None:
    assert places([INT], BIG) == [Argument(2, Scalar(4, True))]
    assert places([INT], by_value("E", 1)) == [Argument(1, Scalar(4, True))]
    assert places([INT], by_value("II")) == [Argument(1, Scalar(4, True))]
    assert places([INT], BIG, "aarch64") == [Argument(1, Scalar(4, True))]

    # What C++ cannot copy is returned so whatever its size.
    assert places([INT], by_value("R")) == [Argument(2, Scalar(4, True))]


def test_where_no_one_knows_how_it_returns_nothing_is_guessed() -> None:
    """Its address may come first."""
    declared = KStruct("class Till", "Till", 0, 0, in_program=True)
    for returned in (SMALL, declared):
        assert places([INT, DOUBLE], returned) == ["STRUCT_ARGUMENT", "STRUCT_ARGUMENT"]
    assert places([INT], declared, "aarch64") == [Argument(1, INT4)]


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        # Nothing was taken away: the registers are those that the convention says.
        ([(INT, 5), (DOUBLE, 17), (INT, 4)], [1, "FLOAT_ARGUMENT", 2]),
        # The first has no place, and the second is in the first's register.
        ([(INT, None), (INT, 5)], ["NO_BTFARG", 1]),
        # The first has no place, but the second is where it is if there is a first.
        ([(INT, None), (INT, 4)], [1, 2]),
        ([(INT128, None), (INT, 1)], [(Argument(1), Argument(2)), 3]),
        # Nothing tells whether the last is there; or whether a float is, which moves no number.
        ([(INT, 5), (INT, None)], [1, "NO_BTFARG"]),
        ([(DOUBLE, None), (INT, 5)], ["NO_BTFARG", 1]),
        # What is behind on the stack depends on all of them.
        ([*[(INT, -1)] * 6, (BIG, None), (INT, -1)], [*range(1, 7), *["NO_BTFARG"] * 2]),
        # One that the convention has on the stack is in a register.
        ([*[(INT, None)] * 6, (INT, 5)], [*["NO_BTFARG"] * 6, 1]),
    ],
)
def test_what_a_compiler_took_away_without_a_word(
    parameters: list[tuple[KType, int | None]], found: list[object]
) -> None:
    """As LLVM does: the name of the function stays, and a parameter has no place any more."""
    given = tuple(
        Parameter(
            f"p{n}", ktype, -1 if register is None else register, is_unplaced=register is None
        )
        for n, (ktype, register) in enumerate(parameters)
    )
    numbers = [shown(place) for _, place in placed(Prototype("f", given, VOID))]
    assert [one.number if isinstance(one, Argument) else one for one in numbers] == found


def test_a_class_that_is_only_declared() -> None:
    declared = Parameter("till", KStruct("class Till", "Till", 0, 0, in_program=True))
    both = (declared, Parameter("n", INT))
    ((_, refusal), (_, behind)) = placed(Prototype("f", both, VOID))
    assert isinstance(refusal, TargetError)
    assert "class Till, of which the debug information has no more than the name" in str(refusal)
    assert "-fstandalone-debug" in str(refusal)
    assert isinstance(behind, TargetError)
    assert "n (int) comes after till, whose place is not known" in behind.message


@pytest.mark.parametrize("struct", [SMALL, KOther("_Complex", 16)])
def test_behind_what_is_not_known_nothing_is_guessed(struct: KType) -> None:
    assert places([INT, struct, INT]) == [
        Argument(1, Scalar(4, True)), "STRUCT_ARGUMENT", "STRUCT_ARGUMENT",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "struct", "itself", "behind"),
    [
        (1, by_value("I"), (Argument(2),), Argument(3, INT4)),
        (1, by_value("II"), (Argument(2), Argument(3)), Argument(4, INT4)),
        (1, by_value("IF"), (Argument(2), None), Argument(3, INT4)),
        (1, by_value("FI"), (None, Argument(2)), Argument(3, INT4)),
        (1, by_value("FF"), "FLOAT_ARGUMENT", Argument(2, INT4)),
        (1, by_value("E", 1), "STRUCT_ARGUMENT", Argument(2, INT4)),
        (6, by_value("E", 0), "STRUCT_ARGUMENT", stacked(8)),
        (1, BIG, (STACK, 8), Argument(2, INT4)),
        (1, by_value("R"), (Argument(2, X64), 0), Argument(3, INT4)),
        (5, by_value("II"), (STACK, 8), Argument(6, INT4)),
        (6, BIG, (STACK, 8), stacked(32)),
        (6, by_value("R"), (Load(STACK, 8, X64, Space.USER), 0), stacked(16)),
        (1, INT128, (Argument(2), Argument(3)), Argument(4, INT4)),
        (7, INT128, (stacked(24, X64), stacked(32, X64)), stacked(40)),
        (7, LONG_DOUBLE, "FLOAT_ARGUMENT", stacked(40)),
        (1, LONG_DOUBLE, "FLOAT_ARGUMENT", Argument(2, INT4)),
    ],
)
def test_what_takes_more_than_a_register(
    before: int, struct: KType, itself: object, behind: object
) -> None:
    found = places([*[INT] * before, struct, INT])
    assert found[before:] == [itself, behind]


def test_a_struct_on_the_stack_is_kept_for_the_return() -> None:
    parameters = (Parameter("s", BIG),)
    ((_, place),) = placed(Prototype("f", parameters, VOID), returns=True)
    assert shown(place) == tuple(Kept(stacked(8 + 8 * n, X64)) for n in range(3))


def test_what_the_debug_information_says_goes_before_what_the_convention_says() -> None:
    """Of a clone the arguments that are left have other registers, and some have gone."""
    parameters = (
        Parameter("third", INT, register=5),
        Parameter("second", POINTER),
        Parameter("first", INT, is_removed=True),
    )
    found = placed(Prototype("f", parameters, VOID), returns=True)
    assert [shown(place) for _, place in found] == [Argument(1, INT4), "NO_BTFARG", "NO_BTFARG"]
    messages = [place.message for _, place in found if isinstance(place, TargetError)]
    assert "does not say which register has second" in messages[0]
    assert "took first away from f" in messages[1]


def test_on_return_the_stack_is_read_at_entry() -> None:
    parameters = tuple(Parameter(f"p{n}", INT) for n in range(7))
    (*_, (_, last)) = placed(Prototype("f", parameters, VOID), returns=True)
    assert isinstance(last, NumberOperand)
    assert last.value == Kept(stacked(8))


@pytest.mark.parametrize("arch", ["x86_64", "aarch64"])
@pytest.mark.parametrize("offset", [8, 96, -8])
def test_a_member_outside_its_struct_is_damage(arch: str, offset: int) -> None:
    struct = KStruct("struct s", "s", 8, 1, in_program=True)
    for ktype, code in [(struct, "BAD_DWARF"), (replace(struct, in_program=False), "BAD_BTF")]:
        with pytest.raises(TargetError) as caught:
            passing_of(ktype, lambda _: (Member("a", LONG, offset),), arch_named(arch))
        assert caught.value.code == code
        assert "a member is outside its 8 bytes" in str(caught.value)
