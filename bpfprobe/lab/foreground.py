"""Running a guest's command as if it were here: on this process's streams, signals and terminal."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import termios
import tty
from typing import TYPE_CHECKING

from bpfprobe.lab.conversation import Streams
from bpfprobe.lab.guest import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType

    from bpfprobe.lab.guest import Guest

STDIN, STDOUT, STDERR = 0, 1, 2
INTERRUPT_GRACE_S = 5.0
SHELL = ("/bin/bash", "-l")


def run_command(guest: Guest, argv: Sequence[str], timeout_s: float | None) -> int:
    """Run a command on this process's streams.

    Ctrl-C reaches the command, which may end in its own way; the guest ends with it, or soon
    after, or at a second Ctrl-C.
    """
    streams = Streams(
        stdout=lambda data: write_all(STDOUT, data),
        stderr=lambda data: write_all(STDERR, data),
        follow=None if os.isatty(STDIN) else STDIN,
    )
    with _on_signal(signal.SIGINT, _interrupter(guest)):
        return guest.stream(Request(argv=tuple(argv)), streams, timeout_s)


def run_shell(guest: Guest, timeout_s: float | None) -> int:
    """Give this process's terminal to a shell in the guest."""
    columns, rows = shutil.get_terminal_size()
    streams = Streams(
        stdout=lambda data: write_all(STDOUT, data),
        stderr=lambda data: write_all(STDERR, data),
        follow=STDIN,
    )
    request = Request(argv=SHELL, terminal=(rows, columns))

    def resized() -> None:
        columns, rows = shutil.get_terminal_size()
        guest.resize(rows, columns)

    with _raw_terminal(), _on_signal(signal.SIGWINCH, resized):
        return guest.stream(request, streams, timeout_s)


def write_all(descriptor: int, data: bytes) -> None:
    """Write bytes past Python's buffers, whole."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _interrupter(guest: Guest) -> Callable[[], None]:
    def interrupt() -> None:
        if not guest.interrupt(INTERRUPT_GRACE_S):
            raise KeyboardInterrupt

    return interrupt


@contextlib.contextmanager
def _on_signal(number: signal.Signals, action: Callable[[], None]) -> Iterator[None]:
    def handler(_number: int, _frame: FrameType | None) -> None:
        action()

    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


@contextlib.contextmanager
def _raw_terminal() -> Iterator[None]:
    if not os.isatty(STDIN):
        yield
        return
    before = termios.tcgetattr(STDIN)
    sys.stdout.flush()
    tty.setraw(STDIN)
    try:
        yield
    finally:
        termios.tcsetattr(STDIN, termios.TCSADRAIN, before)
