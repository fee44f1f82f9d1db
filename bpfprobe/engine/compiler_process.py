"""A process for the compiler: it starts, waits for one request, answers, and is gone."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from bpfprobe._resources import template_root
from bpfprobe.engine import compiler_child as child
from bpfprobe.engine.fork_guard import OwnedFd
from bpfprobe.model.noun import dataclass
from bpfprobe.trust import LIBRARY_PATH, check_library_path

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from bpfprobe.engine.fork_guard import ForkGuard

_PART_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a request. ``status`` is below 0 for the signal that ended the process."""

    status: int
    answer: bytes
    complaints: bytes


class SlowCompilerError(Exception):
    """It has not answered in time; ``complaints`` are those until then. Stays in this package."""

    def __init__(self, complaints: bytes) -> None:
        super().__init__("no answer in time")
        self.complaints = complaints


class CompilerProcess:
    """BCC in a process of its own, that loads it and waits for a request.

    Leaving the block ends the process, whatever it is at, and waits for it. With a ``guard`` no
    forked child keeps a pipe of it open, by which it sees that this process has gone. Raises
    OSError where it cannot be started, `MissingLibraryError` where root would load libraries of
    another user.
    """

    def __init__(self, guard: ForkGuard | None = None) -> None:
        check_library_path()
        self._guard = guard
        self._owner = os.getpid()
        self._pid = 0
        self._held: list[OwnedFd] = []
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _start(self) -> None:
        request, self._request = self._pipe()
        self._answer, answer = self._pipe()
        self._complaints, complaints = self._pipe()
        ends = (request, answer, complaints)
        # -I: no user site or PYTHON* variables; -S: no site packages; -B: writes no __pycache__
        self._pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-I", "-S", "-B", child.__file__, str(template_root())],
            _environment(),
            file_actions=[
                (os.POSIX_SPAWN_DUP2, end.number, number) for number, end in enumerate(ends)
            ],
            setsigmask=[signal.SIGINT],  # Ctrl-C goes to all of a terminal; we say when it ends
        )
        for end in ends:
            self._let_go(end)

    def _pipe(self) -> tuple[OwnedFd, OwnedFd]:
        reading, writing = (OwnedFd(_past_standard(number)) for number in os.pipe())
        for held in (reading, writing):
            self._held.append(held)
            if self._guard is not None:
                self._guard.keep(held)
        return reading, writing

    def _let_go(self, held: OwnedFd) -> None:
        if self._guard is not None:
            self._guard.forget(held)
        held.close()

    def compile(self, request: bytes, timeout_s: float) -> Done:
        """Have the only request answered. Raises OSError, `SlowCompilerError`."""
        answer, complaints = self._converse(child.sized(request), time.monotonic() + timeout_s)
        return Done(self._reap(), answer, complaints)

    def _converse(self, message: bytes, deadline: float) -> tuple[bytes, bytes]:
        """What it says on both pipes while it is told ``message``, until it has closed them."""
        left = memoryview(message)
        heard = {self._answer.number: bytearray(), self._complaints.number: bytearray()}
        os.set_blocking(self._request.number, False)
        poll = select.poll()
        poll.register(self._request.number, select.POLLOUT)
        for number in heard:
            poll.register(number, select.POLLIN)
        answer, complaints = heard.values()
        open_pipes = len(heard)
        while open_pipes:
            ready = poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
            if not ready:
                raise SlowCompilerError(bytes(complaints))
            for number, _ in ready:
                if number not in heard:
                    try:
                        left = left[os.write(number, left[:_PART_BYTES]) :]
                    except BrokenPipeError:  # its status tells why
                        left = left[:0]
                    if not left:
                        poll.unregister(number)
                        self._let_go(self._request)
                    continue
                part = os.read(number, _PART_BYTES)
                heard[number] += part
                if not part:
                    poll.unregister(number)
                    open_pipes -= 1
        return bytes(answer), bytes(complaints)

    def _reap(self) -> int:
        """Wait for its end; 0 where somebody else has done so and knows the status."""
        try:
            _, status = os.waitpid(self._pid, 0)
        except ChildProcessError:
            status = 0
        self._pid = 0
        return os.waitstatus_to_exitcode(status)

    def close(self) -> None:
        """End it at once. Closing twice does nothing, nor does it in a forked child."""
        if self._owner != os.getpid():
            return
        try:
            if self._pid:
                # Not a number that somebody else has waited for: it may be another's by now.
                with suppress(ChildProcessError):
                    if os.waitpid(self._pid, os.WNOHANG) == (0, 0):
                        os.kill(self._pid, signal.SIGKILL)
                        self._reap()
                self._pid = 0
        finally:
            while self._held:
                self._let_go(self._held.pop())


def _past_standard(number: int) -> int:
    """The same pipe under a number that the process's own stdin, stdout and stderr do not have."""
    if number > 2:
        return number
    try:
        return fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 3)
    finally:
        os.close(number)


def _environment() -> dict[str, str]:
    """Return all that the compiler sees of the environment.

    The folder is the current one, which is there whatever happens to its name: where there is none,
    BCC takes headers from /tmp (CVE-2024-2314).
    """
    environment = {"BCC_KERNEL_SOURCE": ".", "PATH": "/usr/bin:/bin", "LC_ALL": "C"}
    if LIBRARY_PATH in os.environ:
        environment[LIBRARY_PATH] = os.environ[LIBRARY_PATH]
    return environment
