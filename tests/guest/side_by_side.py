"""Tracers running at once over one workload, and their rows."""

from __future__ import annotations

import contextlib
import select
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
BCC_KERNELS = ["5.10", "6.1", "6.12"]
"""Where bcc 0.26 compiles its tools: not with the headers of newer kernels."""
STARTED_S = 100.0
SETTLE_S = 2.0


class Tracer:
    """A tracer whose rows are collected; ready when its header has been printed."""

    def __init__(self, argv: Sequence[str]) -> None:
        self._process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self._output = b""

    def wait_for(self, header: bytes, seconds: float = STARTED_S) -> None:
        assert self._process.stdout is not None
        deadline = time.monotonic() + seconds
        while header not in self._output:
            ready, _, _ = select.select([self._process.stdout], [], [], 1.0)
            if ready:
                part = self._process.stdout.read1(65536)  # type: ignore[attr-defined]  # buffered
                assert part, self._complaint()
                self._output += part
            assert time.monotonic() < deadline, self._complaint()

    def wait_to_say(self, words: bytes) -> None:
        """Until a line of what it tells beside its rows has these words."""
        assert self._process.stderr is not None
        while words not in (line := self._process.stderr.readline()):
            assert line, "it has ended"

    def stop(self) -> list[bytes]:
        """Ctrl-C, then all rows below the header."""
        self._process.send_signal(signal.SIGINT)
        rest, self.stderr = self._process.communicate(timeout=30)
        return (self._output + rest).split(b"\n")[1:-1]

    def end(self) -> None:
        self._process.kill()
        self._process.wait()

    def _complaint(self) -> str:
        self._process.kill()
        return self._process.communicate()[1].decode("utf-8", "replace")


def bcc_tool(name: str, *options: str) -> list[str]:
    return [sys.executable, "-u", f"/usr/sbin/{name}-bpfcc", *options]


def our_tool(name: str, *options: str) -> list[str]:
    return [sys.executable, str(EXAMPLES / f"{name}.py"), *options]


@contextlib.contextmanager
def running(header: bytes, *commands: list[str]) -> Iterator[list[Tracer]]:
    """The tracers of these commands, attached."""
    tracers = [Tracer(command) for command in commands]
    try:
        for tracer in tracers:
            tracer.wait_for(header)
        time.sleep(SETTLE_S / 2)
        yield tracers
    finally:
        for tracer in tracers:
            tracer.end()


def settle() -> None:
    """Let both read what is in their buffers."""
    time.sleep(SETTLE_S)


def rows_by_pid(rows: Sequence[bytes]) -> dict[int, list[bytes]]:
    """Rows by their process, which stands behind the 16 characters of a name."""
    found: dict[int, list[bytes]] = defaultdict(list)
    for row in rows:
        with contextlib.suppress(ValueError, IndexError):
            found[int(row[17:].split()[0])].append(row)
    return found
