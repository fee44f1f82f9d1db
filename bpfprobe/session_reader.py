"""How the events of a session are taken: by callbacks, one by one, in batches, in asyncio."""

from __future__ import annotations

from bpfprobe.errors import SessionError
from bpfprobe.signals import caught_once

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from contextlib import AbstractContextManager
    from types import TracebackType
    from typing import Self

    from bpfprobe.deliver.batch import Batch
    from bpfprobe.delivery import Delivery
    from bpfprobe.model.event import Event
    from bpfprobe.model.spec import ProbeSpec
    from bpfprobe.model.statistics import Statistics
    from bpfprobe.probes import Probe

    Callback = Callable[[Event], object]


class SessionReader:
    """The part of `bpfprobe.Session` that hands out events; the rest says when it is open."""

    probes: tuple[Probe | ProbeSpec, ...]
    _callbacks: dict[int, Callback]

    def __enter__(self) -> Self:
        raise NotImplementedError

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        raise NotImplementedError

    def statistics(self) -> Statistics:
        """Return the ledger."""
        raise NotImplementedError

    @property
    def _is_open(self) -> bool:
        raise NotImplementedError

    def _opened_delivery(self) -> Delivery:
        raise NotImplementedError

    def run(self, *, duration: float | None = None, max_events: int | None = None) -> Statistics:
        """Call the callbacks until `stop`, ``duration`` seconds, or ``max_events`` events.

        Runs in the caller's thread; what a callback raises comes out of here. Opens the session
        for the time of the run if it is not open; then the run is the last, as in `events`. Gives
        the statistics at the end.
        """
        for index, probe in enumerate(self.probes):
            if index not in self._callbacks:
                raise SessionError(
                    f"{probe.name} has no callback", hint="@session.on(probe), or iterate"
                )
        if self._is_open:
            self._run(duration, max_events, last=False)
        else:
            with self:
                self._run(duration, max_events, last=True)
        return self.statistics()

    def _run(self, duration: float | None, max_events: int | None, *, last: bool) -> None:
        callbacks = [self._callbacks[index] for index in range(len(self.probes))]
        self._opened_delivery().run(callbacks, duration, max_events, last=last)

    def stop(self, *, drain: bool = False) -> None:
        """End `run` or an iteration soon; the session stays open. Fit for a signal handler.

        With ``drain`` it ends as when its time is up: what is in the buffer is handed out first,
        for a second at most. Otherwise that waits for the next iteration.
        """
        if self._is_open:
            self._opened_delivery().stop(drain=drain)

    def until_interrupted(self) -> AbstractContextManager[list[int]]:
        """Have Ctrl-C or SIGTERM end `run` and iterations as ``stop(drain=True)`` does.

        ``with session, session.until_interrupted() as signals:``. The list has the number of the
        signal once it has come. The iteration that it ends is the last, as in `events`. A second
        signal ends the program as usual, and so does the first after 10 seconds. Raises
        `SessionError` outside of the main thread.
        """
        return caught_once(self._interrupt)

    def _interrupt(self) -> None:
        if self._is_open:
            self._opened_delivery().stop(drain=True, last=True)

    def events(
        self,
        *,
        duration: float | None = None,
        max_events: int | None = None,
        last: bool = False,
    ) -> Iterator[Event]:
        """Events of all probes in order of arrival; ends as `run` does.

        With ``last`` the probes count nothing any more once the time is up, and the session is at
        its end: nothing comes in after what is handed out last, which would then be dropped. A
        later iteration gives what is left.
        """
        return self._opened_delivery().events(duration, max_events, last=last)

    def batches(
        self,
        *,
        duration: float | None = None,
        limit: int = 1 << 16,
        copy: bool = True,
        last: bool = False,
    ) -> Iterator[Batch]:
        """Events many at a time, each batch of one probe and at most ``limit`` long.

        ``batch.array`` is a structured array of numpy, ``batch.arrow()`` a record batch of pyarrow.
        With ``copy=False`` they are views into the buffer, valid until the next batch is asked for
        or the iteration is left. Ends as `events` does. Raises `MissingLibraryError` without numpy
        (bpfprobe[numpy]; for Arrow bpfprobe[arrow]).
        """
        return self._opened_delivery().batches(duration, limit, copy=copy, last=last)

    def __iter__(self) -> Iterator[Event]:
        return self.events()

    def __aiter__(self) -> AsyncIterator[Event]:
        """Events as they come, in the thread of the running loop; other tasks go on.

        Cancelling the task ends the iteration, and leaving ``async with`` detaches.
        """
        return self._opened_delivery().events_async()
