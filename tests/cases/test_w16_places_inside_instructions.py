"""What is not checked of a place is said; what the kernel refuses has its code and a caret."""

from __future__ import annotations

import errno

import pytest

import bpfprobe as bp
from bpfprobe.cli.plan_text import plan_text
from bpfprobe.model.span import SourceText
from bpfprobe.parse.any_dialect import parse_description
from bpfprobe.pipeline import describe
from bpfprobe.testing import FakeEngine
from tests.sample_machine import MACHINE

NOTE = "note       whether an instruction begins there is not checked until it is attached"


def refused(number: int, *texts: str) -> bp.AttachError:
    """What comes where the kernel attaches nothing to an offset."""
    engine = FakeEngine()
    engine.refuse("+", number)
    probes = [parse_description(SourceText(text)) for text in texts]
    with pytest.raises(bp.AttachError) as caught:
        bp.Session(*probes, target=MACHINE, engine=engine).open()
    return caught.value


@pytest.mark.parametrize(
    ("text", "is_told"),
    [
        ("p vfs_read+3", True),
        ("kprobe:vfs_read+0x3", True),
        ("p vfs_read", False),
        ("p vfs_read+0", False),
        ("r vfs_read", False),
    ],
)
def test_explain_says_what_is_not_checked(text: str, *, is_told: bool) -> None:
    plan = describe([parse_description(SourceText(text))], MACHINE, bp.Options()).plan
    assert (NOTE in plan_text(plan)) == is_told


@pytest.mark.parametrize(
    ("text", "number", "code", "caret"),
    [
        ("p:x vfs_read+3", errno.EILSEQ, "BAD_INSN_BNDRY", "    ^~~~~~~~~~"),
        ("p:grp/x vfs_read+3 a=%di", errno.EILSEQ, "BAD_INSN_BNDRY", "        ^~~~~~~~~~"),
        ("p:x vfs_read+0x3", errno.EINVAL, "FAIL_REG_PROBE", "    ^~~~~~~~~~~~"),
    ],
)
def test_the_refusal_has_the_place(text: str, number: int, code: str, caret: str) -> None:
    error = refused(number, text)
    assert error.code == code
    assert str(error).splitlines()[1:3] == [f"  {text}", f"  {caret}"]


def test_of_several_probes_the_one_that_was_refused_is_shown() -> None:
    shown = str(refused(errno.EILSEQ, "kprobe:vfs_read", "kprobe:vfs_write+7")).splitlines()
    assert "  kprobe:vfs_write+7" in shown
    assert "  kprobe:vfs_read" not in shown
