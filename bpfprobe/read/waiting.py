"""Waits for a source to have something, in a thread or in asyncio."""

from __future__ import annotations

import select
from contextlib import suppress

from bpfprobe.errors import LoadError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio

    from bpfprobe.engine import RecordSource


class Waiting:
    """One epoll(7) over the descriptors of a source, told of them once and of each wake-up once.

    A descriptor stays readable for as long as there is something in its buffer; only its edges are
    of interest here, or an asyncio loop would spin while the consumer does something else.
    """

    def __init__(self, source: RecordSource) -> None:
        self._source = source
        self._epoll: select.epoll | None = None
        self._filenos: tuple[int, ...] = ()

    def wait(self, longest_s: float) -> None:
        """Until something may be there, or the time is up."""
        epoll = self._ready()
        with suppress(ValueError):  # closed by another thread
            epoll.poll(longest_s)

    def close(self) -> None:
        """Close the epoll. Closing twice does nothing."""
        epoll, self._epoll, self._filenos = self._epoll, None, ()
        if epoll is not None:
            epoll.close()

    def fileno(self) -> int:
        """The epoll, which turns readable with any of the descriptors."""
        return self._ready().fileno()

    def clear(self) -> None:
        """Take back what is readable now."""
        self._ready().poll(0)

    def _ready(self) -> select.epoll:
        """The epoll, with the descriptors that the source has now: CPUs come and go."""
        try:
            return self._registered(self._source.filenos())
        except OSError as error:
            raise LoadError(
                f"the kernel would not let the buffer be waited for: {error.strerror}",
                errno=error.errno or 0,
                code="WAIT",
            ) from error

    def _registered(self, filenos: tuple[int, ...]) -> select.epoll:
        if self._epoll is None:
            self._epoll = select.epoll()
        if filenos != self._filenos:
            # A closed descriptor has left by itself, and its number may be another's now.
            for fd in filenos:
                if fd not in self._filenos:
                    self._epoll.register(fd, select.EPOLLIN | select.EPOLLET)
            self._filenos = filenos
        return self._epoll


class LoopWaiting:
    """Waits in an asyncio loop, where its epoll is registered once, until closed."""

    def __init__(self, source: RecordSource, loop: asyncio.AbstractEventLoop) -> None:
        import asyncio  # costs more to import than the rest of this package

        self._waiting, self._loop = Waiting(source), loop
        self._woken = asyncio.Event()
        self._is_open = True
        loop.add_reader(self._waiting.fileno(), self._wake)

    async def wait(self, longest_s: float) -> None:
        """Until something may be there, or the time is up; not at all once closed."""
        if not self._is_open:
            return
        self._waiting.fileno()  # takes in descriptors that have come
        timer = self._loop.call_later(longest_s, self._woken.set)
        try:
            await self._woken.wait()
        finally:
            timer.cancel()
            self._woken.clear()

    def close(self) -> None:
        """Leave the loop, and wake who waits. Closing twice does nothing."""
        if self._is_open:
            self._is_open = False
            if not self._loop.is_closed():
                self._loop.remove_reader(self._waiting.fileno())
            self._waiting.close()
            self._woken.set()

    def _wake(self) -> None:
        self._waiting.clear()
        self._woken.set()
