"""A command that waits, on the brink of its exec, until the probes are there."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import socket
import time

from bpfprobe.engine.exec_gate import exec_gate, wait_and_exec
from bpfprobe.errors import SessionError
from bpfprobe.model.noun import dataclass
from bpfprobe.output import report

TYPE_CHECKING = False
if TYPE_CHECKING:
    import mmap

NOT_FOUND = 127
PATIENCE_S = 5.0
"""How long a command may take to end once it was told to."""


@dataclass(frozen=True, slots=True)
class Child:
    """A process that stands before its exec. A byte through ``gate`` lets it go."""

    pid: int
    gate: socket.socket

    @staticmethod
    def start(command: str) -> Child:
        """Fork; the child waits. Raises `SessionError` for what cannot be run (NO_COMMAND)."""
        argv = _words(command)
        path = _program(argv[0])
        code = exec_gate()
        gate, inner = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            gate.close()
            _become(code, inner, path, argv)
        inner.close()
        child = Child(pid, gate)
        if not gate.recv(1):  # it has ended, or it waits: all that it did before was without probes
            child.end()
            raise SessionError(f"{argv[0]} was ended before it began", code="NO_COMMAND")
        return child

    def go(self) -> None:
        """Let the command run; one that has ended meanwhile does not mind."""
        with contextlib.suppress(BrokenPipeError):
            self.gate.send(b"\n")

    def has_ended(self) -> bool:
        """Whether it has ended; one that is stopped has not."""
        try:
            how = os.WEXITED | os.WNOHANG | os.WNOWAIT
            return os.waitid(os.P_PID, self.pid, how) is not None
        except ChildProcessError:
            return True  # it has been waited for already

    def end(self) -> None:
        """End it if it still runs, and wait for it; one that does not mind SIGTERM is killed."""
        self.gate.close()
        deadline = time.monotonic() + PATIENCE_S
        with contextlib.suppress(ChildProcessError, ProcessLookupError):  # waited for already
            if os.waitpid(self.pid, os.WNOHANG)[0] == 0:
                os.kill(self.pid, signal.SIGTERM)
                os.kill(self.pid, signal.SIGCONT)  # one that is stopped would not see the other
            while os.waitpid(self.pid, os.WNOHANG)[0] == 0:
                if time.monotonic() > deadline:
                    os.kill(self.pid, signal.SIGKILL)
                time.sleep(0.005)


def _words(command: str) -> list[str]:
    try:
        argv = shlex.split(command)
    except ValueError as error:
        raise SessionError(
            f"the command cannot be split: {error}", hint="check its quotes"
        ) from None
    if not argv:
        raise SessionError("the command is empty", hint="-c 'ls /tmp'")
    return argv


def _program(name: str) -> str:
    """Return the path of a program, as execvp(3) finds it. Raises `SessionError` (NO_COMMAND)."""
    if "\0" in name:
        raise SessionError("the command has a NUL in it", code="NO_COMMAND")
    paths = [name] if "/" in name else [os.path.join(x, name) for x in os.get_exec_path()]  # noqa: PTH118 - an empty one is the current folder
    for path in paths:
        if os.access(path, os.X_OK) and not os.path.isdir(path):  # noqa: PTH112 - pathlib is slow to import
            return path
    raise SessionError(
        f"there is no program {name} that can be run",
        hint="--command takes a program and its arguments; for a line of shell, sh -c '...'",
        code="NO_COMMAND",
    )


def _become(code: mmap.mmap, gate: socket.socket, path: str, argv: list[str]) -> None:
    """In the child: never returns. A signal ends it, as it would end the command."""
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # which Python ignores, and exec keeps
            signal.signal(number, signal.SIG_DFL)
        result = wait_and_exec(code, gate.fileno(), path, argv)
        if result < 0:
            report(f"bpfprobe: {argv[0]}: {os.strerror(-result)}")
    finally:
        os._exit(NOT_FOUND)
