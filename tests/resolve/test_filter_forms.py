"""Every form of the kernel's filters, resolved; the guest tests hold the verdicts against it."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from bpfprobe.model.scalar import S8, S32, S64, U8, U64, X64
from bpfprobe.model.value import (
    AllOf,
    AnyOf,
    Argument,
    BinaryOperation,
    Builtin,
    BuiltinValue,
    CommText,
    Compare,
    Condition,
    Constant,
    ContextAddress,
    ContextField,
    Load,
    NonZero,
    Not,
    Space,
    SyscallArgument,
    TextAt,
    TextEquals,
    TextMatches,
    Value,
    View,
)
from bpfprobe.testing.static_target import FACTS
from tests.sample_machine import MACHINE, TRACEPOINTS, bound, complaint, machine, place

CPU = BuiltinValue(Builtin.CPU)
TID = BuiltinValue(Builtin.TID)
ARGUMENT = Argument(1)
MANY = machine(
    replace(FACTS, cpus=128),
    typedefs={"cpumask_t": "u64"},
    tracepoints={
        **TRACEPOINTS,
        "ipi:ipi_send_cpumask": ["__data_loc cpumask_t cpumask", "void *callsite"],
    },
)


def condition(text: str, captures: str = "a=$arg1") -> Condition | None:
    return bound(f"p untyped {captures} if {text}").filter


def typed(type_name: str, text: str) -> Condition | None:
    return condition(text, f"a=$arg1:{type_name}")


def compare(operator: str, left: Value, number: int) -> Compare:
    return Compare(operator, left, Constant(number))


@pytest.mark.parametrize(
    ("type_name", "text", "wanted"),
    [
        ("u8", "a == 255", compare("==", View(ARGUMENT, U8), 255)),
        ("u8", "a == 0xff", compare("==", View(ARGUMENT, U8), 255)),
        ("u8", "a == 0377", compare("==", View(ARGUMENT, U8), 255)),
        ("s8", "a == -1", compare("==", View(ARGUMENT, S8), -1)),
        ("s8", "a == 0xff", compare("==", View(ARGUMENT, S8), -1)),
        ("s8", "a != 128", compare("!=", View(ARGUMENT, S8), -128)),
        ("s32", "a == 0xffffffff", compare("==", View(ARGUMENT, S32), -1)),
        ("s64", "a == 0xffffffffffffffff", compare("==", View(ARGUMENT, S64), -1)),
        ("u64", "a == 18446744073709551615", compare("==", View(ARGUMENT, U64), (1 << 64) - 1)),
        ("x64", "a == -1", compare("==", ARGUMENT, -1)),
        ("s8", "a >= -128", compare(">=", View(ARGUMENT, S8), -128)),
        ("s32", "-5 < a", compare(">", View(ARGUMENT, S32), -5)),
    ],
)
def test_a_number_is_read_as_the_fields_type(type_name: str, text: str, wanted: Condition) -> None:
    assert typed(type_name, text) == wanted


@pytest.mark.parametrize(
    ("type_name", "text", "code"),
    [
        ("u8", "a == 256", "ILLEGAL_INTVAL"),
        ("u8", "a == -1", "ILLEGAL_INTVAL"),
        ("u64", "a > -1", "ILLEGAL_INTVAL"),
        ("s8", "a < 128", "ILLEGAL_INTVAL"),
        ("s8", "a == 256", "ILLEGAL_INTVAL"),
        ("s8", "a == -129", "ILLEGAL_INTVAL"),
        ("s32", "a > 0xffffffff", "ILLEGAL_INTVAL"),
        ("u8", "a & 256", "ILLEGAL_INTVAL"),
        ("s8", "a & 256", "ILLEGAL_INTVAL"),
        ("s8", "a & -129", "ILLEGAL_INTVAL"),
        ("u8", "a < 0", "MEANINGLESS"),
        ("u32", "a ~ 5", "ILLEGAL_FIELD_OP"),
        ("u32", "a ~ 'x*'", "EXPECT_DIGIT"),
        ("u32", "a < 'xy'", "ILLEGAL_FIELD_OP"),
        ("u32", "a == xy", "INVALID_VALUE"),
        ("u32", "a == comm", "INVALID_VALUE"),
        ("u32", "a == CPUS", "MISSING_BRACE_OPEN"),
        ("u32", "a & CPUS0", "MISSING_BRACE_OPEN"),
        ("ustring", "a == 5", "EXPECT_STRING"),
        ("ustring", "a ~ 5", "EXPECT_STRING"),
        ("ustring", "a & 1", "EXPECT_STRING"),
        ("ustring", "a & 'x'", "ILLEGAL_FIELD_OP"),
        ("u32", "a & 'xy'", "ILLEGAL_FIELD_OP"),
        ("ustring", "a == xy", "INVALID_VALUE"),
        ("ustring", "a < 'x'", "ILLEGAL_FIELD_OP"),
        ("ustring", "a", "INVALID_OP"),
        ("ustring", "b == 1", "FIELD_NOT_FOUND"),
    ],
)
def test_what_the_kernel_refuses_or_would_misread(type_name: str, text: str, code: str) -> None:
    wrong = complaint(f"p untyped a=$arg1:{type_name} if {text}")
    assert wrong.code == code
    assert wrong.hint


def test_a_mask_asks_for_any_of_its_bits() -> None:
    masked = BinaryOperation("&", View(ARGUMENT, U8), Constant(6), S64)
    assert typed("u8", "a & 6") == NonZero(masked)
    assert typed("u8", "!a & 6") == Not(NonZero(masked))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a == 'x'", TextEquals(TextAt(ARGUMENT, Space.USER), b"x")),
        ("a == 'xy'", TextEquals(TextAt(ARGUMENT, Space.USER), b"xy")),
        ("a != ''", TextEquals(TextAt(ARGUMENT, Space.USER), b"", negated=True)),
        ("a ~ 'x*[a-c]'", TextMatches(TextAt(ARGUMENT, Space.USER), b"x*[a-c]")),
        ("a ~ '!x*'", TextMatches(TextAt(ARGUMENT, Space.USER), b"x*", negated=True)),
        (r"a ~ '\*x'", TextMatches(TextAt(ARGUMENT, Space.USER), rb"\*x")),
        ("!a == 'x'", Not(TextEquals(TextAt(ARGUMENT, Space.USER), b"x"))),
        ("a.ustring == 'x'", TextEquals(TextAt(ARGUMENT, Space.USER), b"x")),
    ],
)
def test_text(text: str, wanted: Condition) -> None:
    assert typed("ustring", text) == wanted


def test_a_character_is_a_number_where_the_field_is_one() -> None:
    assert typed("u8", "a == 'x'") == compare("==", View(ARGUMENT, U8), ord("x"))
    assert typed("char", "'x' == a") is not None


def test_user_strings() -> None:
    wanted = TextMatches(TextAt(SyscallArgument(2), Space.USER), b"/tmp/*")
    assert bound("syscall:openat if filename.ustring ~ '/tmp/*'").filter == wanted
    at = "tracepoint:syscalls:sys_enter_openat if filename.ustring == 'x'"
    wanted = TextEquals(TextAt(ContextField(24, X64), Space.USER), b"x")
    assert bound(at).filter == wanted
    assert condition("$arg2.ustring == 'x'") == TextEquals(TextAt(Argument(2), Space.USER), b"x")
    wanted = TextEquals(TextAt(Argument(2), Space.USER), b"x")
    assert bound("p vfs_read if buf.ustring == 'x'").filter == wanted
    wrong = complaint("p vfs_read if file.ustring == 'x'")
    assert (wrong.code, place(wrong)) == ("EXPECT_DIGIT", "file")


def test_functions() -> None:
    (symbol,) = MACHINE.symbols("vfs_write")
    start, end = symbol.address, symbol.address + 0x100
    inside = AllOf((compare(">=", ARGUMENT, start), compare("<", ARGUMENT, end)))
    assert condition("a.function == vfs_write") == inside
    assert condition(f"a.function == {start + 5:#x}") == inside
    outside = AnyOf((compare("<", ARGUMENT, start), compare(">=", ARGUMENT, end)))
    assert condition("a.function != vfs_write") == outside
    view = View(View(ARGUMENT, S64), X64)
    found = typed("s64", "a.function == vfs_write")
    assert found == AllOf((compare(">=", view, start), compare("<", view, end)))


@pytest.mark.parametrize(
    ("text", "code", "where"),
    [
        ("a.function == vfs_wrote", "NO_FUNCTION", "vfs_wrote"),
        ("a.function == 0x10", "NO_FUNCTION", "0x10"),
        ("a.function == 'vfs_write'", "INVALID_VALUE", "'vfs_write'"),
        ("a.function < vfs_write", "INVALID_OP", "<"),
        ("a.function & vfs_write", "INVALID_OP", "&"),
        ("a.function ~ vfs_write", "INVALID_OP", "~"),
        ("pid.function == vfs_write", "ILLEGAL_FIELD_OP", "pid"),
        ("comm.function == vfs_write", "ILLEGAL_FIELD_OP", "comm"),
    ],
)
def test_what_is_no_function(text: str, code: str, where: str) -> None:
    wrong = complaint(f"p untyped a=$arg1 if {text}")
    assert (wrong.code, place(wrong)) == (code, where)
    assert wrong.hint


def test_an_address_that_is_hidden_is_no_function() -> None:
    hidden = machine(symbols=[replace(MACHINE.symbols("vfs_read")[0], name="secret", address=0)])
    wrong = complaint("p untyped if $arg1.function == secret", hidden)
    assert wrong.code == "NO_FUNCTION"
    assert "kptr_restrict" in (wrong.hint or "")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("cpu == CPUS{1}", compare("==", CPU, 1)),
        ("CPU & CPUS{1}", compare("==", CPU, 1)),
        ("common_cpu != CPUS{1}", compare("!=", CPU, 1)),
        ("cpu & CPUS{0-3}", compare("<=", CPU, 3)),
        ("cpu & CPUS{2-3}", AllOf((compare(">=", CPU, 2), compare("<=", CPU, 3)))),
        ("cpu & CPUS{0-3,8}", AnyOf((compare("<=", CPU, 3), compare("==", CPU, 8)))),
        ("cpu & CPUS{N}", compare("==", CPU, 127)),
        ("!cpu & CPUS{0-3}", Not(compare("<=", CPU, 3))),
        ("a & CPUS{0-3}", compare("<=", ARGUMENT, 3)),
    ],
)
def test_sets_of_cpus(text: str, wanted: Condition) -> None:
    assert bound(f"p untyped a=$arg1 if {text}", MANY).filter == wanted


def test_a_signed_number_below_zero_is_no_cpu() -> None:
    value = View(ARGUMENT, S32)
    wanted = AllOf((compare(">=", value, 0), compare("<=", value, 3)))
    assert bound("p untyped a=$arg1:s32 if a & CPUS{0-3}", MANY).filter == wanted


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("cpu < CPUS{0}", "ILLEGAL_FIELD_OP"),
        ("comm & CPUS{0}", "ILLEGAL_FIELD_OP"),
        ("comm == CPUS{0}", "ILLEGAL_FIELD_OP"),
        ("CPUS{0} == cpu", "ILLEGAL_FIELD_OP"),
        ("cpu & CPUS{}", "INVALID_CPULIST"),
        ("cpu & CPUS{x}", "INVALID_CPULIST"),
        ("cpu & CPUS{128}", "INVALID_CPULIST"),
        ("cpu == CPUS{0,1}", "MEANINGLESS"),
        ("cpu != CPUS{0-3}", "MEANINGLESS"),
    ],
)
def test_what_is_no_set_of_cpus(text: str, code: str) -> None:
    wrong = complaint(f"p untyped if {text}", MANY)
    assert wrong.code == code
    assert wrong.hint


def test_a_set_of_cpus_in_a_record() -> None:
    def words(text: str) -> Condition | None:
        return bound(f"tracepoint:ipi:ipi_send_cpumask if {text}", MANY).filter

    first, second = (
        Load(ContextAddress(8, dynamic=True), offset, U64, Space.KERNEL) for offset in (0, 8)
    )
    both = AllOf((compare("==", first, 0xF), compare("==", second, 1)))
    assert words("cpumask == CPUS{0-3,64}") == both
    either = AnyOf((compare("!=", first, 2), compare("!=", second, 0)))
    assert words("cpumask != CPUS{1}") == either
    assert words("cpumask & CPUS{65}") == NonZero(BinaryOperation("&", second, Constant(2), U64))
    any_word = words("cpumask & CPUS{all}")
    assert isinstance(any_word, AnyOf)
    assert len(any_word.conditions) == 2


@pytest.mark.parametrize(
    "probe",
    ["p untyped", "uprobe:bash:main", "tracepoint:sched:sched_switch", "syscall:openat"],
)
def test_fields_that_every_event_has(probe: str) -> None:
    def of(text: str) -> Condition | None:
        return bound(f"{probe} if {text}").filter

    assert of("common_pid == 7") == compare("==", TID, 7)
    assert of("CPU == 1") == of("common_cpu == 1") == of("cpu == 1") == compare("==", CPU, 1)
    assert of("COMM == 'sh'") == of("comm == 'sh'") == TextEquals(CommText(), b"sh")
    for name in ("common_type", "common_flags", "common_preempt_count", "stacktrace"):
        wrong = complaint(f"{probe} if {name} == 1")
        assert (wrong.code, place(wrong)) == ("FIELD_NOT_FOUND", name)
        assert "cannot be had" in wrong.message
    for name in ("STACKTRACE", "__probe_ip", "__probe_ret_ip", "__probe_func"):
        assert complaint(f"{probe} if {name} == 1").code == "FIELD_NOT_FOUND"


def test_a_capture_of_that_name_comes_first() -> None:
    assert condition("CPU == 1", "CPU=$arg1") == compare("==", ARGUMENT, 1)


def test_zero_keeps_every_hit() -> None:
    assert bound("p untyped if 0").filter is None


def test_fields_of_tracepoints() -> None:
    def of(text: str) -> Condition | None:
        return bound(f"tracepoint:lab:shapes if {text}").filter

    relative = TextAt(ContextAddress(8, dynamic=True, relative=True), Space.KERNEL)
    assert of("text == 'x'") == TextEquals(relative, b"x")
    assert of("why ~ 'x*'") == TextMatches(TextAt(ContextField(32, X64), Space.ANY), b"x*")
    assert of("small & 3") is not None
    static = bound("tracepoint:sched:sched_switch if prev_comm ~ 'ba*'").filter
    assert static == TextMatches(TextAt(ContextAddress(8), Space.KERNEL, 16), b"ba*")
    assert re.fullmatch("EXPECT.*", complaint("tracepoint:lab:shapes if small == 'xy'").code)
