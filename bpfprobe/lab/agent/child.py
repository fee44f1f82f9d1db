"""Starting what was asked for: a command, or tests in a process that has pytest already."""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import sys
import termios
import traceback
from dataclasses import dataclass
from typing import Any, NoReturn

from .wire import Kind

NOT_FOUND = 127
NOT_RUNNABLE = 126
REPORT_FD = 3
HIGH_FD = 64


@dataclass(frozen=True)
class Child:
    """A started process and the agent's ends of its streams."""

    pid: int
    input: int
    outputs: dict[int, Kind]
    terminal: bool


def start(request: dict[str, Any]) -> Child:
    """Fork, and run the request in the child with pipes or a terminal for its streams."""
    if request["terminal"]:
        controller, terminal = os.openpty()
        resize(controller, *request["terminal"])
        pid = _fork(request, [terminal] * 3)
        return Child(pid, os.dup(controller), {controller: Kind.OUTPUT}, terminal=True)
    kinds = [Kind.OUTPUT, Kind.ERROR, *([Kind.REPORT] if request["tests"] else [])]
    input_read, input_write = os.pipe()
    pipes = [os.pipe() for _ in kinds]
    pid = _fork(request, [input_read, *(write for _, write in pipes)])
    outputs = {read: kind for (read, _), kind in zip(pipes, kinds, strict=True)}
    return Child(pid, input_write, outputs, terminal=False)


def resize(terminal: int, rows: int, columns: int) -> None:
    """Tell a terminal its size."""
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def _fork(request: dict[str, Any], streams: list[int]) -> int:
    pid = os.fork()
    if pid == 0:
        _become(request, streams)
    for descriptor in set(streams):
        os.close(descriptor)
    return pid


def _become(request: dict[str, Any], streams: list[int]) -> NoReturn:
    """The child's side of the fork."""
    status = 1
    try:
        os.setsid()
        _reset_signals()
        # Out of the way first, so that no stream is overwritten before it was moved.
        high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, HIGH_FD) for descriptor in streams]
        for goal, descriptor in enumerate(high):
            os.dup2(descriptor, goal)
        os.closerange(len(streams), max(high) + 1)
        if request["terminal"]:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        os.chdir(request["cwd"])
        status = _run(request)
    except BaseException:  # the child of a fork must never return into the agent
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _reset_signals() -> None:
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)


def _run(request: dict[str, Any]) -> int:
    if request["tests"]:
        from . import testing

        os.environ.clear()
        os.environ.update(request["env"])
        return testing.run(request["tests"], request["cwd"], REPORT_FD)
    name = request["argv"][0]
    try:
        os.execvpe(name, request["argv"], request["env"])
    except FileNotFoundError:
        return _refuse(name, "command not found", NOT_FOUND)
    except OSError as error:
        return _refuse(name, error.strerror or "cannot be run", NOT_RUNNABLE)


def _refuse(name: str, reason: str, status: int) -> int:
    shown = name if name.isprintable() else ascii(name)
    sys.stderr.write(f"{shown}: {reason}\n")
    return status
