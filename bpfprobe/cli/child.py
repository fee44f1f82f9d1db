"""A command that waits until the probes are there."""

from __future__ import annotations

import os
import shlex
import signal

from bpfprobe.errors import SessionError
from bpfprobe.model.noun import dataclass
from bpfprobe.output import report

NOT_FOUND = 127


@dataclass(frozen=True, slots=True)
class Child:
    """A process that stands before its exec. ``gate_fd`` lets it go when something is written."""

    pid: int
    gate_fd: int

    @staticmethod
    def start(command: str) -> Child:
        """Fork; the child waits. Raises `SessionError` for a command that cannot be split."""
        try:
            argv = shlex.split(command)
        except ValueError as error:
            raise SessionError(
                f"the command cannot be split: {error}", hint="check its quotes"
            ) from None
        if not argv:
            raise SessionError("the command is empty", hint="-c 'ls /tmp'")
        wait_fd, gate_fd = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(gate_fd)
            _wait_and_exec(wait_fd, argv)
        os.close(wait_fd)
        return Child(pid, gate_fd)

    def go(self) -> None:
        """Let the command run."""
        os.write(self.gate_fd, b"\n")

    def end(self) -> None:
        """End it if it still runs, and wait for it."""
        os.close(self.gate_fd)
        try:
            if os.waitpid(self.pid, os.WNOHANG)[0] == 0:
                os.kill(self.pid, signal.SIGTERM)
                os.waitpid(self.pid, 0)
        except ChildProcessError:
            pass  # it has been waited for already


def _wait_and_exec(wait_fd: int, argv: list[str]) -> None:
    try:
        if os.read(wait_fd, 1):
            os.execvp(argv[0], argv)
    except OSError as error:
        report(f"bpfprobe: {argv[0]}: {error.strerror}")
    finally:
        os._exit(NOT_FOUND)
