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


MAX_ID = (1 << 32) - 1
MAX_SECONDS = 1_000_000_000
"""Of a command line: 31 years. In Python a time may be infinite, for one that never ends."""


class OptionError(BpfprobeError, TypeError, ValueError):
    """An option has a value of a wrong type, or one that cannot be."""

    code = "OPTION"


def check_whole(name: str, value: object, least: int, most: int | None = None) -> None:
    """Raise `OptionError` for what is not an int within the limits; a bool is not one."""
    if type(value) is int and least <= value and (most is None or value <= most):
        return
    limits = f"from {least} to {most}" if most is not None else f"of at least {least}"
    raise OptionError(f"{name} must be a whole number {limits}, not {_shown(value)}")


def check_seconds(name: str, value: object, least: float, most: float | None = None) -> None:
    """Raise `OptionError` for what is not an int or float within the limits."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and least <= value <= (_INFINITY if most is None else most):  # type: ignore[operator]  # of a number
        return
    limits = f"from {least} to {most}" if most is not None else f"of at least {least}"
    raise OptionError(f"{name} must be a number of seconds {limits}, not {_shown(value)}")


def check_text(name: str, value: object) -> None:
    """Raise `OptionError` for what is not a str."""
    if not isinstance(value, str):
        raise OptionError(f"{name} must be a str, not {type(value).__name__}")


def check_truth(name: str, value: object) -> None:
    """Raise `OptionError` for what is neither True nor False."""
    if not isinstance(value, bool):
        raise OptionError(f"{name} must be True or False, not {_shown(value)}")


def check_callable(name: str, value: object) -> None:
    """Raise `OptionError` for what cannot be called."""
    if not callable(value):
        raise OptionError(f"{name} must be a function, not {_shown(value)}")


_INFINITY = float("inf")


def _shown(value: object) -> str:
    """A value in a message: of what may be long, or prints as it likes, the type."""
    if isinstance(value, int | float) and abs(value) < 1 << 64:
        return repr(value)
    if isinstance(value, str) and len(value) <= 32:
        return ascii(value)
    return "one so large" if isinstance(value, int) else f"a value of type {type(value).__name__}"


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
                f"transport must be one of {', '.join(TRANSPORTS)}, not {_shown(self.transport)}"
            )
        if self.buffer_bytes is not None:
            check_whole("buffer_bytes", self.buffer_bytes, 1, 1 << 30)
        check_seconds("latency_s", self.latency_s, 0.001, 60)
        check_seconds("window_s", self.window_s, 0, 60)
        for name in ("pid", "tid", "uid", "not_pid"):
            number = getattr(self, name)
            if number is not None:
                check_whole(name, number, 0, MAX_ID)
        check_whole("inflight", self.inflight, 64, 1 << 20)
        check_whole("max_places (--max-places)", self.max_places, 1, 1 << 20)
        check_truth("ordered", self.ordered)
        check_truth("follow", self.follow)
