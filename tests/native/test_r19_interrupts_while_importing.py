"""Ctrl-C while a command imports its modules ends it without a traceback."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Ctrl-C at the import of that number, counted from the first of ours on.
INTERRUPTED = """
import os, signal, sys
at = int(sys.argv.pop(1))
from bpfprobe.__main__ import main
seen = 0
def hook(event, arguments):
    global seen
    if event == "import":
        seen += 1
        if seen == at:
            os.kill(os.getpid(), signal.SIGINT)
sys.addaudithook(hook)
main()
"""
COMMANDS = [
    ["trace", "kprobe:vfs_read count if count > 3"],
    ["list", "kprobe:vfs_read"],
    ["explain", "kprobe:vfs_read count"],
    ["build", "kprobe:vfs_read count", "-o", "/nonexistent/x.bpfo"],
    ["cache", "list"],
    ["check", "kprobe:vfs_read"],
    ["doctor"],
    ["lab", "--list"],
    ["--help"],
]


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
@pytest.mark.parametrize("at", [2, 11, 29])
def test_no_traceback(words: list[str], at: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, str(at), *words],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert len(done.stderr.splitlines()) <= 1, done.stderr
    assert done.returncode in (-signal.SIGINT, 130)
