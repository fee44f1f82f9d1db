"""How many places a probe may go to, as the commands take it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bpfprobe", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("command", ["trace", "explain", "build"])
def test_more_are_refused(command: str, tmp_path: Path) -> None:
    output = ["-o", str(tmp_path / "x.bpfo")] if command == "build" else []
    done = run(command, "--max-places", "1", "uprobe:c:mem*", *output)
    assert done.returncode == 2
    assert "and 1 is the most that one probe goes to [TOO_MANY_PLACES]" in done.stderr
    assert "--max-places N" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_limit_that_cannot_be_is_the_options() -> None:
    done = run("explain", "--max-places", "0", "uprobe:c:mem*")
    assert "max_places (--max-places) must be a whole number from 1 to 1048576" in done.stderr


def test_explain_tells_how_many_they_are() -> None:
    done = run("explain", "--max-places", "1000", "uprobe:c:mem*")
    assert done.returncode == 0
    assert " functions)" in done.stdout
