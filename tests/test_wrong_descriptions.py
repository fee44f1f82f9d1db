"""Twelve mistakes that people make: each message has the place, the cause and the next step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

import bpfprobe as bp
from bpfprobe.errors import SpecError
from bpfprobe.pipeline import describe
from tests.sample_machine import MACHINE

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Mistake:
    """``text`` and ``call`` make it; ``line`` is the line of ``text`` that is shown."""

    name: str
    text: str
    call: Callable[[], bp.Probe]
    code: str
    caret: str
    cause: str
    next_step: str


MISTAKES = [
    Mistake(
        "misspelt function",
        "p:reads vfs_raed count",
        lambda: bp.kprobe("vfs_raed", n="count"),
        "BAD_PROBE_ADDR",
        "        ^~~~~~~~",
        "this kernel (6.1.0-test) has no function vfs_raed",
        "did you mean vfs_read or vfs_write? bpfprobe list shows what can be probed",
    ),
    Mistake(
        "unknown argument",
        "p:reads vfs_read n=cuont",
        lambda: bp.kprobe("vfs_read", n="cuont"),
        "NO_BTFARG",
        "                   ^~~~~",
        "vfs_read has no argument cuont",
        "did you mean count?",
    ),
    Mistake(
        "member of what is no pointer",
        "p vfs_read x=count->f_inode",
        lambda: bp.kprobe("vfs_read", x="count->f_inode"),
        "NO_PTR_STRCT",
        "                    ^~~~~~~",
        "count is an integer (size_t) and has no members",
        "only structs and pointers to them have members",
    ),
    Mistake(
        "unknown type",
        "p vfs_read n=count:uint32",
        lambda: bp.kprobe("vfs_read", n="count:uint32"),
        "BAD_TYPE",
        "                   ^~~~~~",
        "uint32 is not a type",
        "types are u8..u64 s8..s64 x8..x64 f32 f64 char bool string ustring symbol symstr %pd "
        "%pD bWIDTH@OFFSET/SIZE, and [N] after one; bytes[LENGTH]",
    ),
    Mistake(
        "string of an integer",
        "p do_sys_openat2 name=dfd:string",
        lambda: bp.kprobe("do_sys_openat2", name="dfd:string"),
        "BAD_TYPE4STR",
        "                      ^~~",
        "dfd is an integer (int), which is not a string",
        "leave the type out to take the number that it is; if it holds the address of a string, "
        "write +0(dfd):string",
    ),
    Mistake(
        "$retval at entry",
        "p vfs_read n=$retval:s64",
        lambda: bp.kprobe("vfs_read", n="$retval:s64"),
        "RETVAL_ON_PROBE",
        "             ^~~~~~~",
        "there is no return value on entry",
        "a return probe has it: kretprobe, uretprobe, r:, or syscall",
    ),
    Mistake(
        "function on the blacklist",
        "p:die notify_die",
        lambda: bp.kprobe("notify_die"),
        "FAIL_REG_PROBE",
        "      ^~~~~~~~~~",
        "notify_die is on the kernel's list of functions that kprobes must not touch",
        "probe a function that it calls or that calls it",
    ),
    Mistake(
        "function that this kernel does not have",
        "r:gone zzz_submit $retval",
        lambda: bp.kretprobe("zzz_submit", x="$retval"),
        "BAD_PROBE_ADDR",
        "       ^~~~~~~~~~",
        "this kernel (6.1.0-test) has no function zzz_submit",
        "bpfprobe list 'kprobe:PATTERN' shows what can be probed; it may have been inlined, "
        "left out of this kernel, or be in a module that is not loaded",
    ),
    Mistake(
        "filter with one =",
        "p vfs_read count if pid = 42",
        lambda: bp.kprobe("vfs_read", n="count", filter="pid = 42"),
        "INVALID_OP",
        "                        ^",
        "= does not compare",
        "write ==",
    ),
    Mistake(
        "string that is not closed",
        'p vfs_read if comm == "nginx',
        lambda: bp.kprobe("vfs_read", filter='comm == "nginx'),
        "MISSING_QUOTE",
        "                      ^~~~~~",
        'the text that starts here is not closed with "',
        'put " at its end',
    ),
    Mistake(
        "capture name twice",
        "p vfs_read n=count n=pos",
        lambda: bp.kprobe("vfs_read", n="count", captures={"n": "pos"}),
        "USED_ARG_NAME",
        "                   ^",
        "the name n is used twice",
        "give one of them another name",
    ),
]


def spoken(make: Callable[[], bp.Probe]) -> SpecError:
    with pytest.raises(SpecError) as caught:
        describe([make()], MACHINE)
    assert len(caught.value.diagnostics) == 1
    return caught.value


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_in_text(mistake: Mistake) -> None:
    error = spoken(lambda: bp.probe(mistake.text))
    assert str(error).split("\n") == [
        f"{mistake.cause} [{mistake.code}]",
        f"  {mistake.text}",
        f"  {mistake.caret}",
        f"hint: {mistake.next_step}",
    ]
    assert (error.code, error.hint) == (mistake.code, mistake.next_step)


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_in_calls(mistake: Mistake) -> None:
    first, line, caret, hint = str(spoken(mistake.call)).split("\n")
    label, _, rest = first.partition(": ")
    assert label in ("place", "filter") or label.startswith("capture")
    assert rest == f"{mistake.cause} [{mistake.code}]"
    at, width = caret.index("^"), caret.count("^") + caret.count("~")
    assert line[at : at + width] in mistake.text
    assert hint == f"hint: {mistake.next_step}"


def test_all_mistakes_of_a_probe_are_told_at_once() -> None:
    with pytest.raises(SpecError) as caught:
        describe([bp.probe("p vfs_read a=cuont b=count:uint c=file->qqq")], MACHINE)
    assert [d.code for d in caught.value.diagnostics] == ["NO_BTFARG", "BAD_TYPE", "NO_BTF_FIELD"]
    assert str(caught.value).count("hint: ") == 3


def test_a_text_is_not_yet_a_probe() -> None:
    with pytest.raises(TypeError, match=r"bp\.probe\('kprobe:vfs_read'\) makes one of it"):
        describe(["kprobe:vfs_read"], MACHINE)  # type: ignore[list-item]  # the mistake
