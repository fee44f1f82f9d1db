"""Records of a source as events, in the order in which they came."""

from __future__ import annotations

from bpfprobe.errors import DecodeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol

    from bpfprobe.engine import RecordSource
    from bpfprobe.model.chunk import Chunk
    from bpfprobe.model.event import Event
else:
    Protocol = object


class Decodes(Protocol):
    """Makes events of records; see `bpfprobe.deliver.decode.Decoder`."""

    def events(self, chunk: Chunk) -> tuple[list[Event], bool]:
        """Events, as many as there are up to a record that is wrong, and whether any has marks."""
        ...

    def count_marks(self, events: Sequence[Event]) -> tuple[int, int]:
        """Values that could not be read, and that were cut."""
        ...


class Supply(Protocol):
    """Where events come from."""

    def begin(self) -> None:
        """An iteration begins."""
        ...

    def take(self, limit: int) -> tuple[list[Event], bool]:
        """At most ``limit`` events, none if there are none now; and whether any has marks."""
        ...

    def used(self, count: int) -> None:
        """The first ``count`` of them were handed out; the rest is to come again."""
        ...

    def finish(self) -> None:
        """The time is up: give what is there now, hold nothing back, and then no more."""
        ...


class Arrival:
    """Events in the order in which their records stand in the buffer.

    A record stays there until its event was handed out, so no more than ``limit_bytes`` are looked
    at at once: they are room that programs do not have meanwhile.
    """

    def __init__(self, source: RecordSource, decoder: Decodes, limit_bytes: int) -> None:
        self._source, self._decoder, self._limit_bytes = source, decoder, limit_bytes
        self._goal: int | None = None

    def begin(self) -> None:
        """From now on without an end."""
        self._goal = None

    def take(self, limit: int) -> tuple[list[Event], bool]:
        """Raises `DecodeError` for a record that is wrong, which will not come again."""
        source = self._source
        if self._goal is not None and source.progress()[0] >= self._goal:
            return [], False
        chunk = source.look(limit, self._limit_bytes)
        if chunk is None:
            return [], False
        try:
            return self._decoder.events(chunk)
        except DecodeError:
            source.free(1)
            raise

    def used(self, count: int) -> None:
        """Make room in the buffer."""
        self._source.free(count)

    def finish(self) -> None:
        """No more than was written until now; more may come all the time."""
        self._goal = self._source.progress()[1]
