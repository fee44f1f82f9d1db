"""A command that maps other libraries than the one that is probed is said to do so."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.native.programs import needs_uprobes

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = needs_uprobes

SOURCE = "#include <stdlib.h>\nint main(void) { free(malloc(23)); return 0; }\n"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["-static"], ["malloc was never hit: {path} is linked statically: it maps no library"]),
        ([], []),
    ],
)
def test_a_command_with_another_c_library(
    tmp_path: Path, options: list[str], said: list[str]
) -> None:
    path = tmp_path / "program"
    (tmp_path / "program.c").write_text(SOURCE)
    subprocess.run(["gcc", "-O0", *options, "-o", path, f"{path}.c"], check=True)
    words = ["trace", "--command", str(path), "uprobe:c:malloc n=$arg1"]
    command = [sys.executable, "-m", "bpfprobe", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = done.stderr.splitlines()
    assert "events delivered" in lines[0]
    assert lines[1:] == [f"bpfprobe: {line.format(path=path)}" for line in said]
