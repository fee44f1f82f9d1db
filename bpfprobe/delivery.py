"""The reading half of a session: from the buffer to the user, and the ledger of what got there."""

from __future__ import annotations

from collections import deque
from itertools import islice

from bpfprobe.deliver.decode import Decoder
from bpfprobe.errors import MissingLibraryError, SessionError
from bpfprobe.model.options import check_seconds, check_truth, check_whole
from bpfprobe.model.statistics import Statistics
from bpfprobe.read.ordered import Ordered
from bpfprobe.read.set_aside import SetAside
from bpfprobe.read.stream import EventStream
from bpfprobe.read.supply import Arrival

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from bpfprobe.attach.attachment import Attachment
    from bpfprobe.deliver.batch import Batch
    from bpfprobe.model.chunk import Chunk
    from bpfprobe.model.event import Event
    from bpfprobe.model.machine import SymbolRange
    from bpfprobe.model.options import Options

    Callback = Callable[[Event], object]

SHARE_OF_BUFFER = 8
"""At most this part of the buffer is taken up by what is being handed out."""


class Delivery:
    """Hands out the events of probes that are attached, and counts them."""

    def __init__(
        self,
        attachment: Attachment,
        options: Options,
        idle: Callable[[], object],
        look_up: Callable[[int], SymbolRange | None],
    ) -> None:
        self._attachment = attachment
        self.wiring = wiring = attachment.wiring
        self._source = source = SetAside(attachment.source)
        self._decoder = decoder = Decoder([probe.layout for probe in wiring.probes], look_up)
        self.types = decoder.types
        """The class of each probe's events."""
        share = wiring.buffer_bytes // SHARE_OF_BUFFER
        self._ordered = Ordered(source, decoder, options.window_s) if options.ordered else None
        supply = self._ordered or Arrival(source, decoder, share)
        self._stream = EventStream(
            source,
            supply,
            decoder,
            options.latency_s,
            idle,
            wiring.buffer_bytes // 2,
            attachment.end_counting,
        )

    def events(
        self, duration_s: float | None, max_events: int | None, *, last: bool
    ) -> Iterator[Event]:
        """Events until `stop`, the end of the time, or as many. Raises `OptionError`."""
        _check_limits(duration_s, max_events)
        check_truth("last", last)
        events = self._stream.events(duration_s, last=last)
        return events if max_events is None else islice(events, max_events)

    def events_async(self) -> AsyncIterator[Event]:
        """Events in asyncio until `stop`."""
        return self._stream.events_async()

    def run(
        self,
        callbacks: Sequence[Callback],
        duration_s: float | None,
        max_events: int | None,
        *,
        last: bool,
    ) -> None:
        """Hand each event to the callback of its probe."""
        events = self.events(duration_s, max_events, last=last)
        if len(callbacks) == 1:
            deque(map(callbacks[0], events), maxlen=0)  # a loop that is not run by the interpreter
            return
        callback_of = dict(zip(self.types, callbacks, strict=True))
        for event in events:
            callback_of[type(event)](event)

    def batches(
        self, duration_s: float | None, limit: int, *, copy: bool, last: bool
    ) -> Iterator[Batch]:
        """Many events at a time, each batch of one probe.

        Raises `MissingLibraryError`, `OptionError`.
        """
        _check_limits(duration_s, None)
        check_whole("limit", limit, 1)
        check_truth("copy", copy)
        check_truth("last", last)
        if self._ordered is not None:
            raise SessionError(
                "batches come as they arrive, and the session is to be ordered",
                hint="sort batch.array by its time, without ordered=True",
            )
        try:
            from bpfprobe.deliver.batch import batches_of
            from bpfprobe.deliver.columns import own, sound, wrong
        except ImportError as error:
            raise MissingLibraryError(
                "batches need numpy",
                hint="apt install python3-numpy, or pip install 'bpfprobe[numpy]'",
                code="NO_NUMPY",
            ) from error

        if not copy:
            self._source.lend()

        def cleared(chunk: Chunk) -> Chunk:
            good = sound(chunk, self._decoder.layouts)
            if good is None:
                raise wrong(chunk)
            return own(good) if copy else good

        def batches() -> Iterator[Batch]:
            for chunk in self._stream.chunks(cleared, limit, duration_s, copy=copy, last=last):
                yield from self._counted(list(batches_of(chunk, self._decoder)))

        return batches()

    def _counted(self, batches: list[Batch]) -> Iterator[Batch]:
        """Hand out the batches of a chunk; where that is left in the middle, the rest comes again.

        So it does after `stop`.
        """
        handed = 0
        try:
            for batch in batches:
                handed += 1
                self._stream.handout.count(len(batch), *batch.marks)
                yield batch
        finally:
            self._source.put_back([r for batch in batches[handed:] for r in batch.records()])

    def stop(self, *, drain: bool, last: bool = False) -> None:
        """End what goes on, with ``drain`` when what is in the buffer has been handed out.

        With ``last`` the probes count nothing any more then.
        """
        self._stream.stop(drain=drain, last=last)

    def close(self) -> None:
        """End it for good."""
        self._stream.close()

    def never_hit(self) -> tuple[int, ...]:
        """Return the numbers of the probes of which no hit is known."""
        numbers = range(len(self.types))
        return tuple(index for index in numbers if not self._attachment.tally(index).is_hit)

    def statistics(self, *, ended: bool) -> Statistics:
        """The ledger; what was not delivered is waiting, or if all has ended, dropped."""
        # First, since more may come meanwhile, and another thread may be taking it.
        delivered, (faults, truncated) = self._stream.handout.delivered, self._stream.handout.marks
        tallies = [self._attachment.tally(index) for index in range(len(self.types))]
        produced = sum(tally.produced for tally in tallies)
        lost = sum(tally.lost for tally in tallies)
        rest = produced - lost - delivered
        return Statistics(
            produced=produced,
            delivered=delivered,
            lost=lost,
            dropped=rest if ended else 0,
            waiting=0 if ended else rest,
            missed=sum(tally.missed for tally in tallies),
            unmatched=sum(tally.unmatched for tally in tallies),
            in_flight=sum(tally.in_flight for tally in tallies),
            faults=faults,
            truncated=truncated,
            late=self._ordered.late if self._ordered is not None else 0,
        )


def _check_limits(duration_s: object, max_events: object) -> None:
    if duration_s is not None:
        check_seconds("duration", duration_s, 0)
    if max_events is not None:
        check_whole("max_events", max_events, 0)
