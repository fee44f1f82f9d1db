"""Every command's help ends with examples, and starts without a C library."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "command", ["trace", "list", "explain", "check", "build", "cache", "doctor", "lab"]
)
def test_help_ends_with_examples_of_the_command(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bpfprobe", command, "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    _, _, examples = done.stdout.partition("\nexamples:\n")
    lines = examples.splitlines()
    assert len(lines) >= 2
    assert all(f"bpfprobe {command}" in line for line in lines)
    assert done.stderr == ""


def test_no_command_is_a_usage_error() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bpfprobe"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
