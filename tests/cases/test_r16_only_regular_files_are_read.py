"""A file that a command line names is a regular one: no command waits for what a device says."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bpfprobe.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Callable

SPEC = "kprobe:vfs_read count"
COMMANDS = {
    "explain --target": ["explain", "--target", "FILE", SPEC],
    "check --target": ["check", SPEC, "--target", "FILE"],
    "check SPECS": ["check", "FILE"],
    "build --target": ["build", "--target", "FILE", SPEC, "-o", "OUT"],
    "build --btf": ["build", "--btf", "FILE", SPEC, "-o", "OUT"],
    "trace --file": ["trace", "--file", "FILE"],
    "trace OBJECT": ["trace", "FILE"],
    "explain of a program": ["explain", "uprobe:FILE:main"],
    "list of a program": ["list", "uprobe:FILE:*"],
}


def fifo(path: Path) -> None:
    os.mkfifo(path)


def unix_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def folder(path: Path) -> None:
    path.mkdir()


def link_to(what: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(what)


KINDS = {
    "fifo": fifo,
    "socket": unix_socket,
    "folder": folder,
    "/dev/zero": link_to("/dev/zero"),
    "/dev/tty": link_to("/dev/tty"),
    "/proc/kmsg": link_to("/proc/kmsg"),
    "/proc/self/mem": link_to("/proc/self/mem"),
    "/proc/self/maps": link_to("/proc/self/maps"),
}


@pytest.fixture
def short_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The name of an object, as `trace` takes none else for one; short, for a socket's sake."""
    monkeypatch.chdir(tmp_path)
    return Path("x.bpfo")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("command", COMMANDS)
def test_it_is_refused_and_nothing_is_read(
    command: str, kind: str, short_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    KINDS[kind](short_path)
    words = [
        word.replace("FILE", f"./{short_path}").replace("OUT", "out.bpfo")
        for word in COMMANDS[command]
    ]
    with pytest.raises(SystemExit) as end:
        main(words)
    said = capsys.readouterr()
    assert end.value.code in (1, 2)
    assert "is not a regular file" in said.out + said.err
    assert "NOT_REGULAR" in said.out + said.err or "NO_REGULAR_FILE" in said.err
    assert not Path("out.bpfo").exists()


def test_what_the_kernel_makes_elsewhere_is_not_waited_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In tracefs files have no size; one of them hands out its content once."""
    pipe = Path("/sys/kernel/tracing/trace_pipe")
    if not pipe.exists():
        pipe = tmp_path / "empty"
        pipe.touch()
    with pytest.raises(SystemExit) as end:
        main(["explain", "--target", str(pipe), SPEC])
    assert end.value.code == 1
    assert "[BAD_RECORDING]" in capsys.readouterr().err
