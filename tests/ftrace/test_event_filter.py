from __future__ import annotations

import pytest

from bpfprobe.ftrace.event import ftrace_event
from bpfprobe.ftrace.event_filter import UNREADABLE_TEXT
from bpfprobe.model.ftrace import FtraceEvent, NoForm
from tests.sample_machine import MACHINE, bound

PROBE = (
    "kprobe:vfs_read n=count small=count:u8 low=count:s32 wide=(u64)(u8)count "
    "name=file->f_path.dentry->d_iname called=%si:symstr"
)


def answer(condition: str, probe: str = PROBE) -> FtraceEvent | tuple[NoForm, ...]:
    return ftrace_event(bound(f"{probe} if {condition}"), "x86_64", MACHINE)


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        ("n == 4099", "n == 4099"),
        ("4099 > n", "n < 4099"),
        ("n", "n != 0"),
        ("!n", "!(n != 0)"),
        ("low < -3", "low < -3"),
        ("low == 3000000000", "low == -1294967296"),
        ("n & CPUS{0-1}", "n <= 1"),
        ("low & CPUS{0-1}", "low >= 0 && low <= 1"),
        ("n == -1", f"n == {2**64 - 1}"),
        ("n & 0x10", "n & 0x10"),
        ("(n & 0x30) != 0", "n & 0x30"),
        ("(n & 0x30) == 0", "!(n & 0x30)"),
        ("(n & 0x10) == 0x10", "n & 0x10"),
        ("(n & 0x10) != 0x10", "!(n & 0x10)"),
        ("n > 1 && small < 3 || low == 2", "(n > 1 && small < 3) || low == 2"),
        ("n > 1 && (small < 3 || low == 2)", "n > 1 && (small < 3 || low == 2)"),
        ('name == "a b"', 'name == "a b"'),
        ('name == "say \\"hi\\""', "name == 'say \"hi\"'"),
        ('name ~ "*.c"', 'name ~ "*.c"'),
        ('comm == "cat" && name != "x"', 'COMM == "cat" && name != "x"'),
        ('comm ~ "!c*"', '!(COMM ~ "c*")'),
        ("tid == 42", "common_pid == 42"),
        ("cpu == 1", "CPU == 1"),
    ],
)
def test_conditions(condition: str, text: str) -> None:
    found = answer(condition)
    assert isinstance(found, FtraceEvent), found
    assert found.filter == text
    assert "filter1" not in found.line


def test_what_is_not_captured_becomes_an_argument() -> None:
    found = answer("count > 4096 && file->f_flags & 1 && count < 9999", "kprobe:vfs_read a=buf:x64")
    assert isinstance(found, FtraceEvent)
    assert found.line == (
        "p:bpfprobe/vfs_read vfs_read a=%si:x64 filter1=%dx:u64 filter2=+24(%di):u32"
    )
    assert found.filter == "filter1 > 4096 && filter2 & 0x1 && filter1 < 9999"


def test_a_name_that_is_taken_is_passed_over() -> None:
    found = answer("count > 1", "kprobe:vfs_read filter1=file filter2=buf:x64")
    assert isinstance(found, FtraceEvent)
    assert found.filter == "filter3 > 1"


@pytest.mark.parametrize(
    ("condition", "differs"),
    [
        ('name != "x"', (UNREADABLE_TEXT,)),
        ('name ~ "!x*"', (UNREADABLE_TEXT,)),
        ('!(name != "x")', (UNREADABLE_TEXT,)),
        ('!(name ~ "x*")', ()),
        ('!(name == "x")', ()),
        ('name ~ "x*"', ()),
        ('comm != "x" && count > 3', ()),
    ],
)
def test_unreadable_strings_differ_where_a_test_is_negative(
    condition: str, differs: tuple[str, ...]
) -> None:
    found = answer(condition)
    assert isinstance(found, FtraceEvent)
    assert found.differs == differs


@pytest.mark.parametrize(
    ("condition", "why"),
    [
        ("pid == 42", "common_pid is a thread"),
        ("uid == 0", "ftrace has no value for uid"),
        ("count == low", "a field is compared with a constant there"),
        ("count + 1 == 3", "a fetcharg reads values and does no arithmetic"),
        ("(count & 0x30) == 0x10", "& only asks there whether any bit"),
        ("called == 3", "called is symstr there, and this compares a number"),
        ("wide == 300", "300 is cut there to the field's type, u8"),
        ("wide & 0x100", "the mask 0x100 is cut there to the field's type, u8"),
        ("low & 0x80000000", "the mask 0x80000000 does not fit"),
        ('name == "ü"', "text in a filter is printable ASCII there"),
        ('name == ""', "text in a filter is printable ASCII there"),
        ('name == "a\'\\""', "text in a filter cannot hold both kinds of quotes"),
        ('name ~ ""', "an empty glob matches nothing there"),
    ],
)
def test_conditions_without_a_form(condition: str, why: str) -> None:
    (form,) = answer(condition)
    assert form.part == "filter"
    assert form.why.startswith(why)
