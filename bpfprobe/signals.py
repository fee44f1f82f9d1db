"""What Ctrl-C and SIGTERM do to a program while its session is open."""

from __future__ import annotations

import os
import signal
from _thread import get_native_id
from contextlib import contextmanager

from bpfprobe.errors import SessionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

PATIENCE_S = 10.0
"""How long after the first signal the second comes by itself."""


def exit_on_sigterm() -> Callable[[], None]:
    """Have SIGTERM raise SystemExit, where it would have killed the program; gives the undoing.

    Only the main thread can do either; in another one nothing changes.
    """
    if not _in_main_thread() or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        return lambda: None
    signal.signal(signal.SIGTERM, _exit)

    def undo() -> None:
        if _in_main_thread() and signal.getsignal(signal.SIGTERM) is _exit:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    return undo


@contextmanager
def caught_once(action: Callable[[], object]) -> Iterator[list[int]]:
    """Call ``action`` at the first SIGINT or SIGTERM; the list then has the signal's number.

    A second signal does what it would have done without this, and comes by itself where the program
    has not left after `PATIENCE_S`: it may hang in a write that nobody reads. Raises `SessionError`
    outside of the main thread, in which alone Python handles signals.
    """
    if not _in_main_thread():
        raise SessionError(
            "signals can be handled in the main thread only", hint="session.stop(drain=True)"
        )
    import threading  # not for a session that is merely open

    numbers: list[int] = []
    again: list[threading.Timer] = []
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    # One that is ignored, as SIGINT behind nohup(1), stays so; None is one that C code installed.
    before = {
        n: handler for n, handler in handlers.items() if handler not in (signal.SIG_IGN, None)
    }

    def restore() -> None:
        for number, handler in before.items():
            if signal.getsignal(number) is first:
                signal.signal(number, handler)

    def first(number: int, _frame: FrameType | None) -> None:
        restore()
        numbers.append(number)
        again.append(threading.Timer(PATIENCE_S, os.kill, (os.getpid(), number)))
        again[0].daemon = True
        again[0].start()
        action()

    for number in before:
        signal.signal(number, first)
    try:
        yield numbers
    finally:
        restore()
        for timer in again:
            timer.cancel()


def _in_main_thread() -> bool:
    return get_native_id() == os.getpid()


def _exit(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
