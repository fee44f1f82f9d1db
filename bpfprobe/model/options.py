"""How a session is to run, apart from what its probes say."""

from __future__ import annotations

from bpfprobe.errors import BpfprobeError
from bpfprobe.model.noun import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

TRANSPORTS = ("auto", "ring", "perf")


MAX_PLACES = 1000
"""How many places a probe may go to where nothing else is said: bcc's limit of a glob too."""


class OptionError(BpfprobeError, ValueError):
    """An option has a value that cannot be."""

    code = "OPTION"


def check_option_names(given: Iterable[str], known: Iterable[str]) -> None:
    """Raise `OptionError` (code UNKNOWN_OPTION) for a name that is not one of ``known``."""
    for name in given:
        if name not in known:
            from bpfprobe.model.misspelt import near_option  # only mistakes want it

            near = near_option(name, known)
            hint = f"did you mean {near}=?" if near else f"options are {', '.join(known)}"
            raise OptionError(f"there is no option {name}", hint=hint, code="UNKNOWN_OPTION")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Options of a session.

    ``transport`` forces ``ring`` (Linux 5.8) or ``perf`` buffers. ``buffer_bytes`` is the size of
    the ring, or of the perf buffer of each CPU; it is rounded up to a power of two pages.
    ``latency_s`` bounds how long an event may wait in the buffer while few come.
    ``pid``, ``tid`` and ``uid`` keep only hits of that process, thread or user; ``not_pid`` drops
    those of one process. ``ordered`` gives events in the order of their times, and holds each back
    for ``window_s`` to that end: those of one CPU come in order, those of several nearly so from a
    ring, and a CPU at a time from perf buffers. ``inflight`` is how many calls that wait for their
    return are remembered. ``max_places`` is how many places a probe may go to, of a glob or of a
    line of a source, and in all files that it has followed. ``follow`` attaches to files that come
    later as well, see `Session`.
    """

    transport: str = "auto"
    buffer_bytes: int | None = None
    latency_s: float = 0.1
    pid: int | None = None
    tid: int | None = None
    uid: int | None = None
    not_pid: int | None = None
    inflight: int = 16384
    ordered: bool = False
    window_s: float = 0.1
    max_places: int = MAX_PLACES
    follow: bool = False

    def __new__(cls, **given: object) -> Self:
        """Refuse what is not an option. Raises `OptionError`."""
        check_option_names(given, cls.__annotations__)
        return object.__new__(cls)

    def __post_init__(self) -> None:
        if self.transport not in TRANSPORTS:
            raise OptionError(
                f"transport is one of {', '.join(TRANSPORTS)}, not {self.transport!r}"
            )
        if self.buffer_bytes is not None and not 1 <= self.buffer_bytes <= 1 << 30:
            raise OptionError("buffer_bytes goes from 1 to 1 GiB")
        if not 0.001 <= self.latency_s <= 60:
            raise OptionError("latency_s goes from 0.001 to 60")
        if not 0 <= self.window_s <= 60:
            raise OptionError("window_s goes from 0 to 60")
        for name in ("pid", "tid", "uid", "not_pid"):
            number = getattr(self, name)
            if number is not None and not 0 <= number < 1 << 32:
                raise OptionError(f"{name} must be a number from 0 to 4294967295, not {number}")
        if not 64 <= self.inflight <= 1 << 20:
            raise OptionError("inflight goes from 64 to 1048576")
        if not 1 <= self.max_places <= 1 << 20:
            raise OptionError("max_places (--max-places) goes from 1 to 1048576")
