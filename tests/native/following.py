"""A program that loads a plug-in, forks and executes when it is told, for tests that follow."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bpfprobe as bp

if TYPE_CHECKING:
    from collections.abc import Callable

TIMES = 23
VALUES = [(1000 + i, -3) for i in range(TIMES)]
"""With what the program calls ``plug`` that often."""

PLUGIN = """
__attribute__((noinline, noipa)) long plug(long n, int factor) { return n * factor; }
"""


def build_host(folder: Path) -> Path:
    """The program."""
    source = Path(__file__).with_name("host.c")
    subprocess.run(["gcc", "-O1", "-rdynamic", "-o", folder / "host", source, "-ldl"], check=True)
    return folder / "host"


def build_plugin(path: Path, source: str = PLUGIN) -> Path:
    """A library with ``plug``, complete when it appears at ``path``."""
    partial = path.with_name(path.name + ".partial")
    subprocess.run(
        ["gcc", "-O1", "-shared", "-fPIC", "-x", "c", "-o", partial, "-"],
        input=source.encode(),
        check=True,
    )
    return partial.rename(path)


class Host:
    """The program as it runs."""

    def __init__(self, *command: str | Path) -> None:
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.pid = self.process.pid

    def __enter__(self) -> Host:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def __call__(self, *lines: str) -> None:
        """Have it do something, and wait until it is done."""
        assert self.process.stdout is not None
        for line in lines:
            self.say(line)
            assert self.process.stdout.readline() == "ok\n", line

    def say(self, line: str) -> None:
        """Have it do something."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    @property
    def child(self) -> int:
        """The process that it has forked last."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return int(children[-1])


def until(happens: Callable[[], object]) -> None:
    """Wait for what another thread does in its own time."""
    deadline = time.monotonic() + 60
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def plug(path: Path | str, **more: Any) -> bp.Probe:
    """A probe of the plug-in's function."""
    return bp.uprobe(str(path), "plug", n="$arg1:s64", factor="$arg2:s32", **more)


def values(session: bp.Session) -> list[tuple[int, int]]:
    """With what it was called, of the events that there are."""
    return [(event.n, event.factor) for event in session.events(duration=0)]


def balanced(statistics: bp.Statistics) -> bool:
    """Whether every hit is accounted for."""
    s = statistics
    return s.produced == s.delivered + s.lost + s.dropped + s.waiting
