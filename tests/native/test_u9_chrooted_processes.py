"""A process in a chroot that has no loader's cache: libraries are found in what it has mapped."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

import bpfprobe as bp
from tests.native.programs import compiler, needs_uprobes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = needs_uprobes

CALLS = 23
SOURCE = """
#include <stdio.h>
#include <unistd.h>
int main(void)
{
    puts("ready");
    fflush(stdout);
    while (getchar() != EOF)
        for (int i = 0; i < %d; i++)
            getpgid(1000 + i);
}
"""


@pytest.fixture
def chrooted(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A program with the libraries that it needs, at another place than the machine has them."""
    root = tmp_path / "root"
    program = root / "bin" / "calls"
    (root / "bin").mkdir(parents=True)
    subprocess.run(
        [*compiler("gcc", "-xc", "-", "-o"), str(program)],
        input=SOURCE % CALLS,
        text=True,
        check=True,
    )
    listed = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=True)
    for library in re.findall(r"(/\S+) \(", listed.stdout):
        (root / library[1:]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, root / library[1:])
    with subprocess.Popen(
        ["chroot", str(root), "/bin/calls"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


@pytest.mark.parametrize("name", ["c", "libc", "libc.so.6"])
def test_a_library_is_that_of_the_process(chrooted: subprocess.Popen[str], name: str) -> None:
    assert chrooted.stdin is not None
    with bp.Session(bp.uprobe(name, "getpgid", pid=chrooted.pid, n="$arg1:s32")) as session:
        chrooted.stdin.write("x")
        chrooted.stdin.flush()
        events = list(session.events(duration=20, max_events=CALLS))
    assert [event.n for event in events] == [1000 + i for i in range(CALLS)]
    assert session.statistics().delivered == CALLS


def test_its_program_is_found_too(chrooted: subprocess.Popen[str]) -> None:
    assert chrooted.stdin is not None
    with bp.Session(bp.uprobe("/bin/calls", "main", pid=chrooted.pid)):
        pass
