"""Where nothing is said of a function's arguments, ``$argN`` is the register that C has for it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

import bpfprobe as bp
from tests.native.programs import compiler, needs_uprobes

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("elftools", reason="needs pyelftools")
pytestmark = needs_uprobes

CALLS = 23
C = """
int assembled(int, long);
__attribute__((noinline, noclone)) int open_to_all() { asm volatile(""); return 7; }
__attribute__((noinline, noclone)) int of_none(void) { asm volatile(""); return 7; }
int main(int argc, char **argv)
{
    int sum = getchar();
    for (int i = 0; i < CALLS; i++)
        sum += assembled(i, i + 100l) + open_to_all(i, i + 200l) + of_none();
    return sum < 0;
}
"""
ASSEMBLER = """
    .globl assembled
    .type assembled, @function
assembled:
    nop
    mov %edi, %eax
    ret
    .size assembled, .-assembled
    .section .note.GNU-stack,"",@progbits
"""


@pytest.fixture(scope="module", params=["gcc", "clang"])
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp(request.param)
    (folder / "calls.c").write_text(f"#include <stdio.h>\n#define CALLS {CALLS}\n{C}")
    (folder / "assembled.s").write_text(ASSEMBLER)
    subprocess.run(
        [*compiler(request.param, "-g", "-O0", "-w", "-std=gnu11", "calls.c", "assembled.s", "-o"),
         "calls"],
        cwd=folder, check=True,
    )  # fmt: skip
    return folder / "calls"


@pytest.mark.parametrize(("name", "second"), [("assembled", 100), ("open_to_all", 200)])
def test_arguments_are_in_registers(program: Path, name: str, second: int) -> None:
    probe = bp.uprobe(str(program), name, first="$arg1:s32", second="$arg2:s64")
    with (
        subprocess.Popen([program], stdin=subprocess.PIPE) as running,
        bp.Session(probe, pid=running.pid) as session,
    ):
        assert running.stdin is not None
        running.stdin.close()
        events = list(session.events(duration=20, max_events=CALLS))
    assert [(e.first, e.second) for e in events] == [(i, i + second) for i in range(CALLS)]


def test_a_function_of_no_arguments_has_none(program: Path) -> None:
    with pytest.raises(bp.SpecError, match="of_none has 0 arguments") as caught:
        bp.Session(bp.uprobe(str(program), "of_none", first="$arg1")).open()
    assert caught.value.code == "NO_BTFARG"
