"""A restored guest, and running things in it."""

from __future__ import annotations

import json
import os
import time
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn, Self

from bpfprobe.lab.agent.wire import Kind
from bpfprobe.lab.console import fault_in
from bpfprobe.lab.conversation import Conversation, OutOfTime, PortClosed, Streams
from bpfprobe.lab.errors import GuestFault, GuestLost, GuestTimeout
from bpfprobe.output import warn_unclosed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bpfprobe.lab.emulator import Process

DEFAULT_TIMEOUT_S = 300.0
SEED_BYTES = 64
DYING_S = 5.0


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended; ``status`` is negative for a signal, as in :mod:`subprocess`."""

    status: int
    stdout: bytes
    stderr: bytes
    console: bytes
    elapsed_s: float


@dataclass(frozen=True, slots=True)
class TestResult(Result):
    """How a pytest run ended; ``reports`` has one report in JSON a line."""

    __test__ = False  # its name would make pytest collect it

    reports: bytes


@dataclass(frozen=True, slots=True)
class Mount:
    """A disk of the guest to mount before its first command."""

    device: str
    path: str
    read_only: bool


@dataclass(frozen=True, slots=True)
class Setting:
    """What every command of a guest starts with."""

    cwd: str
    env: Mapping[str, str]
    mounts: tuple[Mount, ...] = ()
    headers_device: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One thing to run: a command, or pytest tests of the checkout."""

    argv: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    env: Mapping[str, str] | None = None
    cwd: str | None = None
    terminal: tuple[int, int] | None = None

    @property
    def name(self) -> str:
        """What to call it in a message."""
        return (self.tests or self.argv)[0]


class Guest:
    """A private running copy of a saved guest; leaving its ``with`` block ends it."""

    def __init__(self, process: Process, setting: Setting, kernel: str) -> None:
        self._process = process
        self._setting = setting
        self._conversation: Conversation | None = None
        self._prepared = False
        self.kernel = kernel
        self._finalizer = weakref.finalize(self, _let_go, process, kernel)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """End the guest. One that is dropped ends as well, with a ResourceWarning."""
        self._finalizer.detach()
        self._process.close()

    def kill(self) -> None:
        """End the guest from another thread; what runs in it raises GuestLost."""
        self._process.kill()

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        stdin: bytes = b"",
    ) -> Result:
        """Run a command as root and return what it said.

        Raises :class:`GuestFault` when the guest's kernel crashes or warns, and
        :class:`GuestTimeout` when the command takes longer than ``timeout_s``.
        """
        stdout, stderr = bytearray(), bytearray()
        request = Request(argv=tuple(argv), env=env, cwd=cwd)
        started = time.monotonic()
        status = self.stream(request, Streams(stdout.extend, stderr.extend, stdin=stdin), timeout_s)
        elapsed = time.monotonic() - started
        return Result(status, bytes(stdout), bytes(stderr), self._process.console(), elapsed)

    def run_tests(
        self,
        nodeids: Sequence[str],
        rootdir: str,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        env: Mapping[str, str] | None = None,
    ) -> TestResult:
        """Run pytest tests of the checkout, in one process that has pytest imported already."""
        stdout, stderr, reports = bytearray(), bytearray(), bytearray()
        streams = Streams(stdout.extend, stderr.extend, reports.extend)
        request = Request(tests=tuple(nodeids), env=env, cwd=rootdir)
        started = time.monotonic()
        status = self.stream(request, streams, timeout_s)
        elapsed = time.monotonic() - started
        console = self._process.console()
        return TestResult(status, bytes(stdout), bytes(stderr), console, elapsed, bytes(reports))

    def stream(self, request: Request, streams: Streams, timeout_s: float | None) -> int:
        """Run a request, handing on its bytes as they come, and return its status."""
        conversation = Conversation(self._process.port, streams)
        conversation.send(Kind.RUN, self._message(request))
        self._conversation = conversation
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        try:
            status = conversation.until_done(deadline)
        except OutOfTime:
            self._process.kill()
            self._check(request.name)
            if conversation.interrupted:
                raise KeyboardInterrupt from None
            raise GuestTimeout(
                f"{request.name} did not end within {timeout_s:g} s; the guest was stopped",
                console=self._process.console(),
            ) from None
        except PortClosed:
            self._explain_end(request.name)
        self._check(request.name)
        return status

    def interrupt(self, grace_s: float) -> bool:
        """Ask the command that :meth:`stream` runs to end, as Ctrl-C does.

        If it goes on for longer than ``grace_s``, the guest is ended and :meth:`stream` raises
        KeyboardInterrupt. False when it was asked before, or nothing runs.
        """
        return self._conversation is not None and self._conversation.interrupt(grace_s)

    def resize(self, rows: int, columns: int) -> None:
        """Tell the running command's terminal its size."""
        if self._conversation is not None:
            self._conversation.send(Kind.SIZE, f"{rows} {columns}".encode())

    def _message(self, request: Request) -> bytes:
        setting = self._setting
        mounts = [] if self._prepared else [(m.device, m.path, m.read_only) for m in setting.mounts]
        headers = None if self._prepared else setting.headers_device
        self._prepared = True
        message = {
            "argv": request.argv,
            "tests": request.tests,
            "env": {**setting.env, **(request.env or {})},
            "cwd": request.cwd or setting.cwd,
            "terminal": request.terminal,
            "mounts": mounts,
            "headers": headers,
            "clock_ns": time.time_ns(),
            "seed": os.urandom(SEED_BYTES).hex(),
        }
        return json.dumps(message).encode()

    def _check(self, name: str) -> None:
        console = self._process.console()
        fault = fault_in(console)
        if fault is not None:
            raise GuestFault(
                f"the guest's kernel {self.kernel} failed while {name} ran: {fault}",
                console=console,
            )

    def _explain_end(self, name: str) -> NoReturn:
        self._process.wait(DYING_S)
        self._check(name)
        complaint = self._process.complaints()
        message = f"the guest ended while {name} ran{': ' if complaint else ''}{complaint}"
        raise GuestLost(message, console=self._process.console())


def _let_go(process: Process, kernel: str) -> None:
    try:
        warn_unclosed(
            f"unclosed guest of kernel {kernel}: `with` closes it, and so does close()", process
        )
    finally:
        process.close()
