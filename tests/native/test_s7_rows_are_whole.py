"""Rows stay whole in a pipe that the traced program writes to as well, in every format."""

from __future__ import annotations

import fcntl
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.native.programs import needs_uprobes

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = needs_uprobes

ROWS = 3001
PROGRAM = r"""
#include <string.h>
#include <unistd.h>
__attribute__((noinline)) int hot(int number) { __asm__ volatile(""); return number; }
int main(void) {
    const char *line = "of the program\n";
    for (int number = 0; number < %d; number++) {
        hot(1000000 + number);
        if (write(1, line, strlen(line)) < 0) return 1;
        usleep(200);  // for some time, while rows are printed
    }
    return 0;
}
"""
FORMATS = {
    "rows": (["uprobe:{}:hot n=$arg1:s32"], r" *\d+ \S+ +(\d+)"),
    "json": (["--json", "uprobe:{}:hot n=$arg1:s32"], r'\{"probe":.*"n": ?(\d+)\}'),
    "trace8": (['{}:hot "n = %d", arg1'], r"\d+ +\d+ +\S+ +hot +n = (\d+)"),
    "ftrace": (
        ["--style", "ftrace", "uprobe:{}:hot n=$arg1:s32"],
        r" *\S+-\d+ +\[\d+\] \.{5} +[\d.]+: hot: \(hot\) n=(\d+)",
    ),
}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("whole") / "writer"
    source = made.with_suffix(".c")
    source.write_text(PROGRAM % ROWS)
    subprocess.run(["gcc", "-g", "-O1", "-o", made, source], check=True)
    return made


@pytest.mark.parametrize("form", FORMATS)
def test_no_row_is_torn(program: Path, form: str) -> None:
    words, pattern = FORMATS[form]
    words = [word.format(program) for word in words]
    command = [sys.executable, "-m", "bpfprobe", "trace", "--command", str(program), *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as tracer:
        assert tracer.stdout is not None
        fcntl.fcntl(tracer.stdout, fcntl.F_SETPIPE_SZ, 4096)  # always full: all have to wait
        output, errors = tracer.communicate(timeout=120)
    assert tracer.returncode == 0, errors
    lines = output.decode().splitlines()
    rows = [line for line in lines if line != "of the program"]
    assert len(lines) - len(rows) == ROWS
    found = [re.fullmatch(pattern, row) for row in rows]
    torn = [row for row, match in zip(rows, found, strict=True) if match is None]
    assert len(torn) == (form in ("rows", "trace8")), torn[:5]  # the header
    numbers = [int(match[1]) for match in found if match]
    assert numbers == list(range(1000000, 1000000 + ROWS)), errors
