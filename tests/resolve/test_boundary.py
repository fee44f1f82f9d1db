"""A place in the middle of an instruction is refused, in the words in which it was given."""

from __future__ import annotations

import pytest

import bpfprobe as bp
from bpfprobe.cli.plan_text import plan_text
from bpfprobe.errors import SpecError
from bpfprobe.model.machine import FileOffset, Instruction
from bpfprobe.pipeline import describe
from bpfprobe.testing import StaticTarget

PATH = "/bin/bash"
MOV = Instruction(FileOffset(0x1103), 5, "mov eax, edi", "b8 78 56 34 12")


def target_with(*instructions: Instruction) -> StaticTarget:
    """readline is at 0x1100 of the file and 0x401100 of the memory."""
    return StaticTarget(binaries={PATH: ["readline"]}, instructions={PATH: instructions})


@pytest.mark.parametrize(
    ("where", "here", "first", "behind"),
    [
        ({"sym": "readline+5"}, "readline+0x5", "readline+0x3", "readline+0x8"),
        ({"offset": 0x1104}, "offset 0x1104", "offset 0x1103", "offset 0x1108"),
        ({"address": 0x401107}, "address 0x401107", "address 0x401103", "address 0x401108"),
    ],
)
def test_inside(where: dict[str, object], here: str, first: str, behind: str) -> None:
    probe = bp.uprobe(PATH, **where)  # type: ignore[arg-type]  # one of three keywords
    with pytest.raises(SpecError) as caught:
        describe([probe], target_with(MOV))
    error = caught.value
    assert error.code == "BAD_INSN_BNDRY"
    assert error.message == (
        f"{here} of {PATH} is inside of `mov eax, edi`, which goes from {first} to {behind}"
    )
    assert str(error.hint).startswith(f"probe {first} or {behind}; force=True")
    assert "^" in str(error)


def test_inside_of_the_first() -> None:
    first = Instruction(FileOffset(0x1100), 4, "endbr64", "f3 0f 1e fa")
    with pytest.raises(SpecError, match="goes from readline to readline") as caught:
        describe([bp.uprobe(PATH, "readline+1")], target_with(first))
    assert caught.value.code == "BAD_INSN_BNDRY"


def test_without_words_for_it() -> None:
    with pytest.raises(SpecError, match="inside of an instruction, which goes"):
        describe([bp.uprobe(PATH, "readline+2")], target_with(Instruction(FileOffset(0x1100), 4)))


def test_a_beginning() -> None:
    plan = describe([bp.uprobe(PATH, "readline+3")], target_with(MOV)).plan
    assert plan.probes[0].bound.notes == ()
    assert "note" not in plan_text(plan)


@pytest.mark.parametrize(
    ("encoding", "reason"),
    [
        ("f0 48 ff 05 00 00 00 00", "a LOCK prefix"),
        ("66 f0 ff 05 00 00 00 00", "a LOCK prefix"),
        ("2e 66 0f 1f 84 00 00 00", "a CS prefix"),
        ("3e ff e0", "a DS prefix (or notrack"),
        ("26 8b 00", "an ES prefix"),
        ("36 8b 00", "an SS prefix"),
        ("cc", "its opcode is cc"),
        ("cd 80", "its opcode is cd"),
        ("f4", "its opcode is f4"),
    ],
)
@pytest.mark.parametrize("place", ["readline", "readline+0x10", "0x1110"])
def test_what_the_kernel_does_not_probe(encoding: str, reason: str, place: str) -> None:
    start = FileOffset(0x1100 if place == "readline" else 0x1110)
    size = len(encoding.split())
    given = Instruction(start, size, "what it is", encoding)
    with pytest.raises(SpecError) as caught:
        describe([bp.probe(f"uprobe:{PATH}:{place}")], target_with(given))
    assert caught.value.code == "NOT_SUPPORTED"
    assert "does not probe `what it is`: it" in caught.value.message
    assert reason in caught.value.message
    assert ("next instruction is at offset" in str(caught.value.hint)) is place.startswith("0")


@pytest.mark.parametrize("encoding", ["64 8b 00", "f2 0f 10 c0", "67 8b 00", "0f 05", "66 90", ""])
def test_what_it_does(encoding: str) -> None:
    given = Instruction(FileOffset(0x1110), 3, "it", encoding)
    plan = describe([bp.uprobe(PATH, "readline+0x10")], target_with(given)).plan
    assert plan.probes[0].bound.notes == ()


def test_what_could_not_be_told_is_a_note() -> None:
    given = Instruction(FileOffset(0x1103), unknown="Capstone is not installed")
    plan = describe([bp.uprobe(PATH, "readline+3")], target_with(given)).plan
    note = "whether an instruction begins there is not checked: Capstone is not installed"
    assert plan.probes[0].bound.notes == (note,)
    assert f"  note       {note}\n" in plan_text(plan)


def test_by_force() -> None:
    plan = describe([bp.uprobe(PATH, "readline+5", force=True)], target_with(MOV)).plan
    assert "it was forced" in plan.probes[0].bound.notes[0]
    whole = describe([bp.uretprobe(PATH, "readline", force=True)], target_with(MOV)).plan
    assert whole.probes[0].bound.notes == ()
