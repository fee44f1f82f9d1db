"""On arm64 too a place is refused whose instruction the kernel does not probe."""

from __future__ import annotations

from dataclasses import replace

import pytest

import bpfprobe as bp
from bpfprobe.errors import SpecError
from bpfprobe.model.machine import Binary, FileOffset, Instruction
from bpfprobe.pipeline import describe
from bpfprobe.resolve.arm64_instructions import arm64_refusal
from bpfprobe.target.elf import InMemory
from bpfprobe.target.instructions import instruction_at
from bpfprobe.testing import StaticTarget
from bpfprobe.testing.static_target import FACTS
from tests.target.test_instructions import one_function

REFUSED = {
    "exclusive": {
        "ldaxr w0, [x1]": 0x885FFC20,
        "ldxr x0, [x1]": 0xC85F7C20,
        "stxr w2, x0, [x1]": 0xC8027C20,
        "stlxr w2, w0, [x1]": 0x8802FC20,
        "ldxp x0, x2, [x1]": 0xC87F0820,
        "ldaxrb w0, [x1]": 0x085FFC20,
        "stxrh w2, w0, [x1]": 0x48027C20,
    },
    "relative to itself": {
        "ldr x0, .": 0x58000000,
        "ldr w0, .": 0x18000000,
        "ldrsw x0, .": 0x98000000,
        "prfm pldl1keep, .": 0xD8000000,
    },
    "makes an exception": {"svc #0": 0xD4000001, "brk #1": 0xD4200020, "hlt #1": 0xD4400020},
    "system register": {"msr tpidr_el0, x0": 0xD51BD040, "msr daifset, #2": 0xD50342DF},
    "returns from an exception": {"eret": 0xD69F03E0},
}
TAKEN = {
    "ldar w0, [x1]": 0x88DFFC20,
    "stlr w0, [x1]": 0x889FFC20,
    "ldadd w0, w1, [x2]": 0xB8200041,
    "cas w0, w1, [x2]": 0x88A07C41,
    "stp x29, x30, [sp, #-16]!": 0xA9BF7BFD,
    "ldr x0, [x1]": 0xF9400020,
    "ret": 0xD65F03C0,
    "bl .": 0x94000000,
    "b.eq .": 0x54000000,
    "adrp x0, .": 0x90000000,
    "mrs x0, tpidr_el0": 0xD53BD040,
    "bti c": 0xD503245F,
    "paciasp": 0xD503233F,
    "nop": 0xD503201F,
    "dmb ish": 0xD5033BBF,
}


def code(word: int) -> bytes:
    return word.to_bytes(4, "little")


@pytest.mark.parametrize(
    ("reason", "word"), [(why, word) for why, words in REFUSED.items() for word in words.values()]
)
def test_what_is_refused(reason: str, word: int) -> None:
    assert reason in arm64_refusal(code(word))


@pytest.mark.parametrize("word", TAKEN.values(), ids=TAKEN)
def test_what_is_taken(word: int) -> None:
    assert not arm64_refusal(code(word))


class Arm64(StaticTarget):
    """A machine whose programs are arm64's."""

    def binary(self, path: str, pid: int | None = None) -> Binary:
        return replace(super().binary(path, pid), machine="aarch64")


@pytest.mark.parametrize("place", ["work", "work+0x10", "0x1110"])
def test_in_a_file(place: str) -> None:
    at = FileOffset(0x1100 if place == "work" else 0x1110)
    target = Arm64(
        binaries={"/bin/app": ["work"]},
        instructions={"/bin/app": [Instruction(at, 4, encoding=code(0x885FFC20).hex(" "))]},
        facts=replace(FACTS, arch="aarch64"),
    )
    with pytest.raises(SpecError, match="does not probe the instruction there: it is an") as raised:
        describe([bp.probe(f"uprobe:/bin/app:{place}")], target)
    assert raised.value.code == "NOT_SUPPORTED"
    assert "the next instruction is at" in str(raised.value.hint)
    describe([bp.uprobe("/bin/app", "work+0x10", force=True)], target)


@pytest.mark.parametrize("offset", [0, 4, 6])
def test_the_bytes_are_those_of_the_file(offset: int) -> None:
    content = code(TAKEN["bti c"]) + code(0xC85F7C20) + bytes(8)
    elf, function = one_function(content, "aarch64")
    found = instruction_at(elf, InMemory(content), function, FileOffset(offset))
    start = offset // 4 * 4
    assert found == Instruction(FileOffset(start), 4, encoding=content[start : start + 4].hex(" "))
    assert bool(arm64_refusal(bytes.fromhex(found.encoding))) is (start == 4)
