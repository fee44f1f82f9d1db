"""What stands around a tool's session: its streams and its exit status."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
BPFPROBE = f"{sys.executable} -m bpfprobe"
TOOL = """
import os, sys
import bpfprobe as bp
def main():
    print("x" * int(sys.argv[1]))
    with open(os.devnull) as other:
        return 0 if other.fileno() > 2 else 5
bp.run_tool(main, "tool")
"""


def shell(command: str, *words: str) -> tuple[int, str]:
    """Exit status and standard error of a command line."""
    done = subprocess.run(
        ["sh", "-c", command, "sh", *words], stderr=subprocess.PIPE, text=True, check=False
    )
    return done.returncode, done.stderr


@FULL
@pytest.mark.parametrize("size", ["1", "100000"])  # seen at the end, and before
def test_a_full_disk_is_an_error_of_a_line(size: str) -> None:
    status, said = shell('exec "$@" >/dev/full', sys.executable, "-c", TOOL, size)
    assert status == 1
    assert said == "tool: the output cannot be written: No space left on device [NO_OUTPUT]\n"


@FULL
@pytest.mark.parametrize("words", ["--help", "trace --help", "--version", "cache list", "doctor"])
def test_a_full_disk_and_the_command_line(words: str) -> None:
    status, said = shell(f"{BPFPROBE} {words} >/dev/full")
    assert status == 1
    assert said == "bpfprobe: the output cannot be written: No space left on device [NO_OUTPUT]\n"


@pytest.mark.parametrize("closed", [">&-", "<&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_error_and_taken_by_no_file(closed: str) -> None:
    status, said = shell(f'exec "$@" {closed}', sys.executable, "-c", TOOL, "100000")
    assert (status, said) == (0, "")


def test_the_command_line_with_its_output_closed() -> None:
    assert shell(f"{BPFPROBE} cache list >&-") == (0, "")


def test_a_reader_that_has_enough() -> None:
    assert shell(f"{BPFPROBE} trace --help | head -1 >/dev/null") == (0, "")


@pytest.mark.parametrize(
    ("encoding", "seen"),
    [
        ("ascii", b"gr\\xfc\\u20ac\n"),
        ("latin-1", b"gr\xfc\\u20ac\n"),
        ("utf-8", b"gr\xc3\xbc\xe2\x82\xac\n"),
    ],
)
def test_text_that_the_locale_has_no_characters_for(encoding: str, seen: bytes) -> None:
    tool = "import bpfprobe as bp\nbp.run_tool(lambda: print('gr\\xfc\\u20ac'), 'tool')"
    environ = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run(
        [sys.executable, "-c", tool], env=environ, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, seen, b"")
