"""What is being handed out now, and how many events ever were."""

from __future__ import annotations

from operator import length_hint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bpfprobe.model.event import Event

    CountMarks = Callable[[Sequence[Event]], tuple[int, int]]


class Handout:
    """Hands out a list of events at a time, and knows at any moment how far its reader has come.

    The iterator is one over a list: to take an event from it costs as little as Python allows, and
    what is left in it says how many were taken. So nothing is counted event by event.
    """

    def __init__(self, count_marks: CountMarks) -> None:
        self._count_marks = count_marks
        self._hand = _Hand([], marked=False)
        self._delivered = self._faults = self._truncated = 0

    def begin(self, events: list[Event], *, marked: bool) -> Iterator[Event]:
        """Hand out events, of which some have faults or were cut if ``marked``."""
        self._hand = hand = _Hand(events, marked=marked)
        return hand.left

    def withdraw(self) -> None:
        """Let the iterator end here. Safe in a signal handler and in another thread."""
        hand = self._hand
        # One step, which leaves the sum of what is left and what is withdrawn as it was.
        hand.withdrawn.extend(hand.left)

    def end(self, free: Callable[[int], None]) -> None:
        """Count what was taken and have it freed; the rest is not handed out any more."""
        self.withdraw()
        taken = self._hand.taken
        faults, truncated = self.marks
        empty = _Hand([], marked=False)
        free(taken)
        # No call between here and the end: where a signal ends this, all was done, or nothing.
        self._delivered += taken
        self._faults, self._truncated = faults, truncated
        self._hand = empty

    def count(self, delivered: int, faults: int, truncated: int) -> None:
        """Count what was handed out in another way."""
        self._delivered += delivered
        self._faults += faults
        self._truncated += truncated

    @property
    def delivered(self) -> int:
        """Events that were handed out until now."""
        return self._delivered + self._hand.taken

    @property
    def marks(self) -> tuple[int, int]:
        """Of these events, the values that could not be read, and those that were cut."""
        hand = self._hand
        if not hand.marked:
            return self._faults, self._truncated
        faults, truncated = self._count_marks(hand.events[: hand.taken])
        return self._faults + faults, self._truncated + truncated


class _Hand:
    """A list of events, the iterator over it, and what was left when it was withdrawn."""

    __slots__ = ("events", "left", "marked", "withdrawn")

    def __init__(self, events: list[Event], *, marked: bool) -> None:
        self.events, self.marked = events, marked
        self.left = iter(events)
        self.withdrawn: list[Event] = []

    @property
    def taken(self) -> int:
        return len(self.events) - len(self.withdrawn) - length_hint(self.left)
