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

    Handler = Callable[[int, FrameType | None], object] | int | signal.Handlers | None

_ENDING = (signal.SIGINT, signal.SIGTERM)
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
        if not _in_main_thread():
            return
        handler: Handler = signal.getsignal(signal.SIGTERM)
        if isinstance(handler, _Holder) and handler.before.get(signal.SIGTERM) is _exit:
            handler.before[signal.SIGTERM] = signal.SIG_DFL
        elif handler is _exit:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    return undo


class _Holder:
    """A handler that notes which signals came, and in the end hands them on to those before it."""

    def __init__(self) -> None:
        self.before: dict[int, Handler] = {}
        self.holds = True
        self.came: list[int] = []

    def __call__(self, number: int, frame: FrameType | None) -> None:
        before = self.before[number]
        if self.holds and number not in self.came:
            self.came.append(number)
        elif callable(before):
            before(number, frame)
        else:
            signal.signal(number, before)
            signal.raise_signal(number)

    def take_over(self) -> None:
        for number in _ENDING:
            before: Handler = signal.getsignal(number)
            if callable(before) and not (isinstance(before, _Holder) and before.holds):
                self.before[number] = before
                signal.signal(number, self)

    def let_go(self) -> None:
        """Put the other handlers back, and have them called for what came.

        One that raises meanwhile may leave this one in its place, which then only hands on.
        """
        self.holds = False
        for number, before in self.before.items():
            handler: object = signal.getsignal(number)
            if handler is self:
                signal.signal(number, before)
        while self.came:
            signal.raise_signal(self.came.pop(0))


@contextmanager
def held_back() -> Iterator[None]:
    """Let handlers of Ctrl-C and SIGTERM run only once this is left, or for a second signal.

    `let_through` makes an exception for a part of it.

    What they raise would come out between the opening of something and whatever owns it. Signals
    that end the process without a handler do so at once. Only the main thread handles signals.
    """
    holder = _Holder()
    try:
        if _in_main_thread():
            holder.take_over()
        yield
    finally:
        holder.let_go()


@contextmanager
def let_through() -> Iterator[None]:
    """Have signals that `held_back` holds handled at once, and those that came before.

    For what takes long and opens nothing that outlives it.
    """
    holders: set[_Holder] = set()
    if _in_main_thread():
        handlers = [signal.getsignal(number) for number in _ENDING]
        holders.update(handler for handler in handlers if isinstance(handler, _Holder))
    for holder in holders:
        holder.let_go()
    try:
        yield
    finally:
        for holder in holders:
            holder.holds = True
            holder.take_over()


@contextmanager
def signals_wait() -> Iterator[None]:
    """Keep Ctrl-C and SIGTERM from this thread, with a handler or without, until this is left."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def all_or_nothing(undo: Callable[[], object]) -> Iterator[None]:
    """Call ``undo`` where this fails, or is left with a signal that raises; see `held_back`."""
    try:
        with held_back():
            yield
    except BaseException:
        undo()
        raise


def raise_interrupts() -> None:
    """Have Ctrl-C raise KeyboardInterrupt from now on, where it would end the process at once."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def end_at_interrupts() -> None:
    """Have Ctrl-C end the process at once: while Python imports, or when all has been done.

    What KeyboardInterrupt raised there would be a traceback, or lost in a callback of the imports.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


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
