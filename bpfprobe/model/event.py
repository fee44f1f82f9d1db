"""An event as a program sees it: typed, immutable, made from one record."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, ClassVar

    from bpfprobe.model.layout import Layout

    Values = tuple[Any, ...]
else:
    Values = tuple


def _not_captured(event: Event) -> Any:
    """A field where the probe captures something of this name; no method of a tuple."""
    raise AttributeError(f"events of {event.probe} have no such field: {', '.join(event.names())}")


def of_hit(event: Event, name: str) -> Any:
    """Return ``pid``, ``comm`` and so on of the hit, whatever captures are called."""
    own = getattr(event, f"_{name}", None)
    return getattr(event, name) if own is None else own


class Event(Values):
    """A hit of a probe. Each probe has a subclass with an attribute for each capture.

    Every event has ``time`` (nanoseconds, CLOCK_MONOTONIC), ``pid`` (process), ``tid`` (thread),
    ``cpu``, and unless the probe was told otherwise ``comm`` (the thread's name). A capture that
    could not be read is None and named in ``faults``; one that was cut is named in ``truncated``.
    Where a captured argument or field has one of these names, the hit's own is ``_pid``, ``_comm``.
    Strings are decoded as UTF-8, bytes that are none survive as surrogates (PEP 383);
    `raw` gives the bytes. Fields go by their names: that an event is a tuple underneath, of what
    the record held, is how it is made fast and no part of the interface.
    """

    __slots__ = ()

    probe: ClassVar[str] = ""
    """The name of the event's probe."""
    layout: ClassVar[Layout]
    """Where each field stood in the record."""

    time: int
    pid: int
    tid: int
    cpu: int
    comm: str

    count: Any = property(_not_captured)
    index: Any = property(_not_captured)

    if TYPE_CHECKING:
        # Subclasses have an attribute for each capture.
        def __getattr__(self, name: str) -> Any: ...

    @property
    def faults(self) -> frozenset[str]:
        """The captures that could not be read."""
        return frozenset()

    @property
    def truncated(self) -> frozenset[str]:
        """The captures of which only the beginning was taken."""
        return frozenset()

    def asdict(self) -> dict[str, Any]:
        """Every field by its name."""
        return {name: getattr(self, name) for name in self.names()}

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The names of all fields: those that every event has, then the captures in their order."""
        return tuple(field.name for field in cls.layout.fields if field.name != "probe")

    def raw(self, name: str) -> bytes | None:
        """The bytes of a field as they came from the kernel; None for a fault.

        An argument vector keeps the NUL after each string. Raises KeyError for an unknown name.
        """
        raise KeyError(name)

    def __iter__(self) -> Iterator[Any]:
        """The values of all fields, in the order of `names`."""
        return iter([getattr(self, name) for name in self.names()])

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"an event cannot be changed: {name}")

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.names())
        return f"{self.probe}({values})"
