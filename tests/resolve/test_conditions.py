from __future__ import annotations

import pytest

from bpfprobe.model.scalar import S32, S64, U64, X64
from bpfprobe.model.value import (
    AllOf,
    AnyOf,
    Argument,
    Builtin,
    BuiltinValue,
    CommText,
    Compare,
    Condition,
    Constant,
    ConstantText,
    NonZero,
    Not,
    ReturnValue,
    Space,
    TextAt,
    TextEquals,
    TextMatches,
)
from tests.sample_machine import bound, complaint, place

PID = BuiltinValue(Builtin.PID)
COUNT = Argument(3, U64)
PATH = TextAt(Argument(2, X64), Space.USER)


def pid_is(number: int) -> Compare:
    return Compare("==", PID, Constant(number))


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("pid == 1", pid_is(1)),
        ("1 == pid", pid_is(1)),
        ("10 < count", Compare(">", COUNT, Constant(10))),
        ("count & 4", None),
        ("count", NonZero(COUNT)),
        ("!count", Not(NonZero(COUNT))),
        ("pid == 1 && pid == 2 && pid == 3", AllOf((pid_is(1), pid_is(2), pid_is(3)))),
        ("pid == 1 || (pid == 2 || pid == 3)", AnyOf((pid_is(1), pid_is(2), pid_is(3)))),
        ("pid == 1 && (pid == 2 || pid == 3)", AllOf((pid_is(1), AnyOf((pid_is(2), pid_is(3)))))),
        ('comm == "sh"', TextEquals(CommText(), b"sh")),
        ('"sh" != comm', TextEquals(CommText(), b"sh", negated=True)),
        ('comm ~ "s*"', TextMatches(CommText(), b"s*")),
        ('comm ~ "!s*"', TextMatches(CommText(), b"s*", negated=True)),
        ('!(comm ~ "s*")', Not(TextMatches(CommText(), b"s*"))),
        ('func == "vfs_read"', TextEquals(ConstantText(b"vfs_read"), b"vfs_read")),
        ("(pid == 1)", pid_is(1)),
    ],
)
def test_filters(text: str, condition: Condition | None) -> None:
    found = bound(f"p vfs_read if {text}").filter
    if condition is None:
        assert isinstance(found, NonZero)
    else:
        assert found == condition


def test_a_capture_that_is_a_string_compares_as_one() -> None:
    probe = 'p untyped name=$arg2:ustring if name == "x"'
    assert bound(probe).filter == TextEquals(TextAt(Argument(2), Space.USER), b"x")
    probe = 'p do_sys_openat2 if filename ~ "/tmp/*"'
    assert bound(probe).filter == TextMatches(PATH, b"/tmp/*")


def test_a_signed_value_compares_with_a_negative_one() -> None:
    probe = "r vfs_read if retval < 0"
    assert bound(probe).filter == Compare("<", ReturnValue(S64), Constant(0))
    probe = "p do_sys_openat2 if dfd == -100"
    assert bound(probe).filter == Compare("==", Argument(1, S32), Constant(-100))


@pytest.mark.parametrize(
    ("text", "code", "where"),
    [
        ('"x"', "BAD_FILTER", '"x"'),
        ('"x*" ~ comm', "BAD_FILTER", "comm"),
        ("comm ~ pid", "INVALID_VALUE", "pid"),
        ("comm == pid", "INVALID_VALUE", "pid"),
        ("comm == 5", "EXPECT_STRING", "comm"),
        ("comm", "INVALID_OP", "comm"),
        ('comm < "x"', "ILLEGAL_FIELD_OP", "<"),
        ('pid == "x"', "EXPECT_DIGIT", "pid"),
        ('argv == "x"', "EXPECT_DIGIT", "argv"),
        ("argv == 1", "BAD_TYPE", "argv"),
        ('comm == "sixteen-bytes-xx"', "MEANINGLESS", '"sixteen-bytes-xx"'),
        ('file->f_path.dentry->d_iname == "' + "x" * 33 + '"', "MEANINGLESS", f'"{"x" * 33}"'),
        ('func ~ "v*"', "MEANINGLESS", 'func ~ "v*"'),
        ("count < 0", "MEANINGLESS", "count < 0"),
        ("pid == -1", "ILLEGAL_INTVAL", "pid == -1"),
        ("-1 < pid", "ILLEGAL_INTVAL", "-1 < pid"),
        ('comm == "a\\0b"', "BAD_IMM", '"a\\0b"'),
        (f'+0(buf) == "{"x" * 256}"', "OPERAND_TOO_LONG", f'"{"x" * 256}"'),
        (f'+0(buf) ~ "*{"x" * 62}"', "OPERAND_TOO_LONG", f'"*{"x" * 62}"'),
        ("count / 0 == 1", "BAD_IMM", "0"),
        ("count << 64", "BAD_IMM", "64"),
        ("count / (4 - 4) == 1", "BAD_IMM", "(4 - 4)"),
        ("count % (u8)256 == 1", "BAD_IMM", "(u8)256"),
        ("count << (60 + 10)", "BAD_IMM", "(60 + 10)"),
        ("count >> (s8)255", "BAD_IMM", "(s8)255"),
        ("ppid / 2", "BAD_OPERATOR", "ppid"),
        ("file->f_path == 1", "BAD_TYPE", "file->f_path"),
        ("file->tags == 1", "EXPECT_STRING", "file->tags"),
        ("file->marks == 1", "BAD_TYPE", "file->marks"),
        ("nothing == 1", "FIELD_NOT_FOUND", "nothing"),
        ("retval == 1", "RETVAL_ON_PROBE", "retval"),
    ],
)
def test_errors(text: str, code: str, where: str) -> None:
    wrong = complaint(f"p vfs_read if {text}")
    assert (wrong.code, place(wrong)) == (code, where)
    assert wrong.hint


def test_a_long_glob_is_fine_where_it_is_plain_text_with_a_star() -> None:
    assert isinstance(bound(f'p vfs_read if +0(buf) ~ "{"x" * 200}*"').filter, TextMatches)
    assert isinstance(bound(f'p vfs_read if +0(buf) ~ "*{"x" * 61}"').filter, TextMatches)
    assert isinstance(bound(f'p vfs_read if +0(buf) ~ "{"[a-z]" * 50}"').filter, TextMatches)
