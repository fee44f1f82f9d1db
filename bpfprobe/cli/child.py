"""A command that waits, on the brink of its exec, until the probes are there."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import shlex
import signal
import socket

from bpfprobe.errors import SessionError
from bpfprobe.model.noun import dataclass
from bpfprobe.output import report

NOT_FOUND = 127

_WAIT_AND_EXEC = {
    "x86_64": "4989d1 4989ca ba01000000 b801000000 0f05 4883f801 751a 31c0 0f05 4883f801 7510"
    "4c89cf 4c89d6 4c89c2 b83b000000 0f05 c3",
    "aarch64": "e90300aa ea0302aa eb0303aa ec0304aa 220080d2 080880d2 010000d4 1f0400f1 61010054"
    "e00309aa e80780d2 010000d4 1f0400f1 c1000054 e0030aaa e1030baa e2030caa a81b80d2 010000d4"
    "c0035fd6",
}
"""By architecture the code of a function of (fd, byte, path, argv, envp), as clang assembles it::

    if (write(fd, byte, 1) == 1 && read(fd, byte, 1) == 1)
            return execve(path, argv, envp);

It is these three system calls and nothing besides. Between the byte that lets it go and its exec,
Python would call malloc and much else, which a probe would take for calls of the command.
"""


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
        code = _executable(_WAIT_AND_EXEC.get(os.uname().machine, ""))
        gate, inner = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            gate.close()
            _wait_and_exec(code, inner, path, argv)
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
        """End it if it still runs, and wait for it."""
        self.gate.close()
        try:
            if os.waitpid(self.pid, os.WNOHANG)[0] == 0:
                os.kill(self.pid, signal.SIGTERM)
                os.kill(self.pid, signal.SIGCONT)  # one that is stopped would not see the other
                os.waitpid(self.pid, 0)
        except ChildProcessError:
            pass  # it has been waited for already


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


def _executable(code: str) -> mmap.mmap:
    """Return memory with code in it. Raises `SessionError` (NO_CODE) where none may be made."""
    try:
        if not code:
            raise PermissionError("not on this architecture")
        memory = mmap.mmap(
            -1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
        )
    except OSError as error:
        raise SessionError(
            f"--command needs memory that can be executed: {error}",
            hint="start the command yourself, and trace it with -p",
            code="NO_CODE",
        ) from error
    memory.write(bytes.fromhex(code))
    return memory


def _wait_and_exec(code: mmap.mmap, gate: socket.socket, path: str, argv: list[str]) -> None:
    """In the child: never returns. A signal ends it, as it would end the command."""
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # which Python ignores, and exec keeps
            signal.signal(number, signal.SIG_DFL)
        words = [os.fsencode(word) for word in argv]
        variables = [name + b"=" + value for name, value in os.environb.items()]
        strings, pointer = ctypes.c_char_p, ctypes.c_void_p
        kind = ctypes.CFUNCTYPE(ctypes.c_long, ctypes.c_int, pointer, strings, pointer, pointer)
        function = kind(ctypes.addressof(ctypes.c_char.from_buffer(code)))
        result = function(
            gate.fileno(),
            ctypes.create_string_buffer(1),
            os.fsencode(path),
            (strings * (len(words) + 1))(*words),
            (strings * (len(variables) + 1))(*variables),
        )
        if result < 0:
            report(f"bpfprobe: {argv[0]}: {os.strerror(-result)}")
    finally:
        os._exit(NOT_FOUND)
