"""What an engine holds open, and its end in a forked child.

A probe stays armed while any process holds its descriptor. One that forks without exec would keep
it armed after the tracer has died, so the child closes its copies at once.
"""

from __future__ import annotations

import os
import weakref

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol
else:
    Protocol = object


class Closeable(Protocol):
    """Anything that holds descriptors. Closing twice does nothing."""

    def close(self) -> None:
        """Let go of them."""
        ...


class OwnedFd:
    """A descriptor with one owner: closed once, even if its number has been used again."""

    __slots__ = ("_number",)

    def __init__(self, number: int) -> None:
        self._number = number

    @property
    def number(self) -> int:
        """The descriptor; -1 once closed."""
        return self._number

    def close(self) -> None:
        """Close it. Closing twice does nothing."""
        number, self._number = self._number, -1
        if number >= 0:
            os.close(number)


class ForkGuard:
    """Closes in a forked child all that it was given to keep, and has not been told to forget."""

    def __init__(self) -> None:
        self._kept: dict[int, Closeable] = {}
        # Such a callback cannot be taken back: a weak one lets the engine go.
        method = weakref.WeakMethod(self.close_all)

        def in_child() -> None:
            close_all = method()
            if close_all is not None:
                close_all()

        os.register_at_fork(after_in_child=in_child)

    def keep(self, held: Closeable) -> None:
        """Close ``held`` in a child that is forked from now on."""
        self._kept[id(held)] = held

    def forget(self, held: Closeable) -> None:
        """``held`` was closed here."""
        self._kept.pop(id(held), None)

    def close_all(self) -> None:
        """Close everything, latest first. One that fails does not keep the others open."""
        failure: OSError | None = None
        while self._kept:
            _, held = self._kept.popitem()
            try:
                held.close()
            except OSError as error:
                failure = failure or error
        if failure is not None:
            raise failure
