from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpfprobe.errors import TargetError
from bpfprobe.model.usdt import UsdtConstant, UsdtMemory, UsdtPlace, UsdtRegister, UsdtUnread
from bpfprobe.resolve.usdt_operand import parse_usdt_operands

X86 = [
    ("-4@-20(%rbp)", 4, True, False, UsdtMemory("rbp", displacement=-20)),
    ("8@%rax", 8, False, False, UsdtRegister("rax")),
    ("-4@%eax", 4, True, False, UsdtRegister("eax")),
    ("1@%r9b", 1, False, False, UsdtRegister("r9b")),
    ("-4@$5", 4, True, False, UsdtConstant(5)),
    ("8@$-0x10", 8, False, False, UsdtConstant(-16)),
    ("4@(%r12)", 4, False, False, UsdtMemory("r12")),
    ("8@16(%rbx,%rcx,4)", 8, False, False, UsdtMemory("rbx", "rcx", 4, 16)),
    ("8@(%rbx,%rcx)", 8, False, False, UsdtMemory("rbx", "rcx")),
    ("2@0x20(,%rcx,8)", 2, False, False, UsdtMemory("", "rcx", 8, 32)),
    ("8@counter(%rip)", 8, False, False, UsdtMemory(symbol="counter")),
    ("8@counter+8(%rip)", 8, False, False, UsdtMemory(symbol="counter", displacement=8)),
    ("8@8+counter(%rip)", 8, False, False, UsdtMemory(symbol="counter", displacement=8)),
    ("8@counter-4", 8, False, False, UsdtMemory(symbol="counter", displacement=-4)),
    ("8@table(,%rax,8)", 8, False, False, UsdtMemory("", "rax", 8, symbol="table")),
    ("4@table+4(%rbx)", 4, False, False, UsdtMemory("rbx", displacement=4, symbol="table")),
    ("-1@(%r12,%rbx,4)", 1, True, False, UsdtMemory("r12", "rbx", 4)),
    ("-4@-112(%rbp)", 4, True, False, UsdtMemory("rbp", displacement=-112)),
    ("-4@$-1", 4, True, False, UsdtConstant(-1)),
    ("1@%ah", 1, False, False, UsdtRegister("ah")),
    ("8f@%xmm0", 8, False, True, UsdtRegister("xmm0")),
    ("-4f@12(%rsp)", 4, True, True, UsdtMemory("rsp", displacement=12)),
    ("%rdi", 8, False, False, UsdtRegister("rdi")),
    ("%dx", 2, False, False, UsdtRegister("dx")),
]
ARM = [
    ("-4@x1", 4, True, False, UsdtRegister("x1")),
    ("4@w20", 4, False, False, UsdtRegister("w20")),
    ("8@[x19]", 8, False, False, UsdtMemory("x19")),
    ("-4@[sp, 12]", 4, True, False, UsdtMemory("sp", displacement=12)),
    ("8@[x21, #-16]", 8, False, False, UsdtMemory("x21", displacement=-16)),
    ("8@[x0,x3]", 8, False, False, UsdtMemory("x0", "x3")),
    ("8@[x0, x1, lsl 3]", 8, False, False, UsdtMemory("x0", "x1", 8)),
    ("8@[x0, x1, lsl #2]", 8, False, False, UsdtMemory("x0", "x1", 4)),
    ("8@[x0, 16]", 8, False, False, UsdtMemory("x0", displacement=16)),
    ("-4@7", 4, True, False, UsdtConstant(7)),
    ("w3", 4, False, False, UsdtRegister("w3")),
    ("8f@d1", 8, False, True, UsdtRegister("d1")),
]


@pytest.mark.parametrize(
    ("machine", "text", "size", "signed", "is_float", "place"),
    [("x86_64", *row) for row in X86] + [("aarch64", *row) for row in ARM],
)
def test_every_form(
    machine: str, text: str, size: int, signed: bool, is_float: bool, place: UsdtPlace
) -> None:
    (operand,) = parse_usdt_operands(text, machine)
    assert (operand.text, operand.size, operand.signed, operand.is_float) == (
        text, size, signed, is_float,
    )  # fmt: skip
    assert operand.place == place


@pytest.mark.parametrize(("machine", "rows"), [("x86_64", X86), ("aarch64", ARM)])
def test_many_in_a_row(machine: str, rows: list[tuple[str, int, bool, bool, UsdtPlace]]) -> None:
    for at in range(0, len(rows), 3):
        some = rows[at : at + 3]
        operands = parse_usdt_operands("  ".join(row[0] for row in some), machine)
        assert [operand.place for operand in operands] == [row[4] for row in some]
    assert parse_usdt_operands("", machine) == ()


@pytest.mark.parametrize(
    ("machine", "text", "number"),
    [
        ("x86_64", "8@%rax 3@%rbx", 2),
        ("x86_64", "8@%foo", 1),
        ("x86_64", "8@", 1),
        ("x86_64", "8@$", 1),
        ("x86_64", "8@(%eax)", 1),
        ("x86_64", "8@8(%rip)", 1),
        ("x86_64", "8@a(%eax)", 1),
        ("x86_64", "8@a(%rip,%rax)", 1),
        ("x86_64", "8@%fs:-8", 1),
        ("x86_64", "8@(%rax,%rbx,3)", 1),
        ("x86_64", "8@12", 1),
        ("x86_64", "8@$0x1ffffffffffffffff", 1),
        ("x86_64", " ".join(["8@%rax"] * 13), 13),
        ("x86_64", "8@%rax " * 1000, 1),
        ("aarch64", "8@%rax", 1),
        ("aarch64", "8@[x40", 1),
        ("aarch64", "8@[x1, w2, sxtw 3]", 1),
        ("aarch64", "8@[x1, x2, lsl 5]", 1),
        ("aarch64", "8@[sp], 8", 1),
        ("aarch64", "8@[sp, 8]!", 1),
        ("s390x", "8@%r2", 1),
    ],
)
def test_what_cannot_be_read_is_named(machine: str, text: str, number: int) -> None:
    message = refusal(text, machine)
    assert f"argument {number} of the marker" in message
    assert len(message) < 300


def refusal(text: str, machine: str) -> str:
    """What is said of the first operand that cannot be read, to all or to who asks for it."""
    try:
        places = [operand.place for operand in parse_usdt_operands(text, machine)]
    except TargetError as error:
        return error.message
    return next(place.message for place in places if isinstance(place, UsdtUnread))


def test_one_that_is_not_understood_leaves_the_others_alone() -> None:
    first, second, third = parse_usdt_operands("8@%rax 16@%xmm0 8@%rbx", "x86_64")
    assert (first.place, third.place) == (UsdtRegister("rax"), UsdtRegister("rbx"))
    assert isinstance(second.place, UsdtUnread)


ALPHABET = "148-f@%$()[],#+ raxesp0xbip.w\n\0\xe9"


@given(st.text(ALPHABET, max_size=60), st.sampled_from(["x86_64", "aarch64"]))
def test_any_text_is_operands_or_refused(text: str, machine: str) -> None:
    kept = outcome(text, machine)
    assert kept == "USDT_OPERAND" or kept == "".join(text.split(None)) or "[" in text or "(" in text


def outcome(text: str, machine: str) -> str:
    """The code of the refusal, or the texts of the operands."""
    try:
        return "".join(operand.text for operand in parse_usdt_operands(text, machine))
    except TargetError as error:
        return error.code
