"""In a program, a name that debug information gives two meanings is refused with both spellings."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

import bpfprobe as bp
from tests.native.programs import compiler, needs_uprobes
from tests.native.test_debug_information import run

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("elftools", reason="needs pyelftools")
pytestmark = needs_uprobes

SOURCE = r"""
#include <unistd.h>
__attribute__((noinline, noipa)) int told(int pid, const char *comm, int args)
{
    return pid + args;
}
int main(void)
{
    char go;
    while (read(0, &go, 1) == 1) {
        for (int i = 0; i < 23; i++)
            told(-i, "an argument", i);
        write(1, "k", 1);
    }
}
"""


def test_both_meanings_have_a_spelling(tmp_path: Path) -> None:
    source, program, bare = tmp_path / "p.c", tmp_path / "program", tmp_path / "bare"
    source.write_text(SOURCE)
    subprocess.run([*compiler("gcc", "-g", "-O1"), "-o", program, source], check=True)
    subprocess.run([*compiler("gcc", "-O1"), "-o", bare, source], check=True)
    for name in ("pid", "comm"):
        with pytest.raises(bp.SpecError) as caught:
            bp.Session(bp.probe(f"uprobe:{program}:told {name}")).c_source()
        assert caught.value.code == "AMBIGUOUS_NAME"
        assert f"${name} is the builtin" in (caught.value.hint or "")
    (events,) = run(program, f"uprobe:{program}:told a=$arg1:s32 p=$pid c=$comm n=args")
    assert [(event.a, event.n) for event in events] == [(-i, i) for i in range(23)]
    assert {(event.p == event.pid, event.c) for event in events} == {(True, "program")}
    (events,) = run(bare, f"uprobe:{bare}:told p=pid c=comm")
    assert {(event.p == event.pid, event.c) for event in events} == {(True, "bare")}
    assert len(events) == 23
