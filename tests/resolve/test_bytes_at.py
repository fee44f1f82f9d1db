"""``bytes[LENGTH]``: what its value and its length may be."""

from __future__ import annotations

import pytest

import bpfprobe as bp
from bpfprobe.cli.value_text import value_text
from tests.sample_machine import complaint, one_plan, place

ARGUMENT = "bytes of user memory at argument 2"


@pytest.mark.parametrize(
    ("probe", "value", "words"),
    [
        (bp.kprobe, "buf:bytes[count]", f"(argument 3) {ARGUMENT}"),
        (bp.kprobe, "$arg2:bytes[16]", f"(16) {ARGUMENT}"),
        (bp.kprobe, "+8(%si):bytes[ count - 8 ]", "((argument 3 - 8)) bytes of kernel memory"),
        (bp.kretprobe, "buf:bytes[retval]", f"(the return value) {ARGUMENT}"),
    ],
)
def test_what_is_taken(probe: type[bp.Probe], value: str, words: str) -> None:
    (captured,) = one_plan(probe("vfs_read", x=value)).bound.captures
    assert value_text(captured.value).startswith(words)


def test_a_length_that_is_there_on_return_makes_a_system_call_one() -> None:
    plan = one_plan(bp.syscall("openat", x="filename:bytes[retval]"))
    assert plan.pairing is not None


@pytest.mark.parametrize(
    ("value", "code", "marked", "message"),
    [
        ("$arg2:bytes", "BAD_TYPE", "bytes", "bytes have a length"),
        ("$arg2:bytes[]", "BAD_ARRAY_NUM", "[]", "bytes have a length"),
        ("$arg2:bytes[4", "ARRAY_NO_CLOSE", "", "what begins with bytes[ ends with ]"),
        ("$arg2:bytes[comm]", "BAD_TYPE", "comm", "comm is a string, not a number"),
        ("ustack:bytes[4]", "BAD_TYPE", "ustack", "and bytes are memory"),
    ],
)
def test_what_is_refused(value: str, code: str, marked: str, message: str) -> None:
    wrong = complaint(f"p untyped x={value}")
    assert (wrong.code, place(wrong)) == (code, marked)
    assert message in wrong.message
