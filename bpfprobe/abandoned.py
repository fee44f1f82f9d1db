"""The end of a session that was dropped without close: a warning, as files give, and all let go."""

from __future__ import annotations

import os
import weakref
from contextlib import ExitStack

from bpfprobe.model.noun import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from bpfprobe.attach.attachment import Attachment
    from bpfprobe.follow.begin import Followed
    from bpfprobe.model.notice import Notice
    from bpfprobe.model.spec import ProbeSpec
    from bpfprobe.names import Names
    from bpfprobe.probes import Probe

_NAMED = 3
"""Of how many probes a warning has the names."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a session holds while it is open, none of which leads back to it.

    ``owner`` is the process that opened it.
    """

    probes: tuple[Probe | ProbeSpec, ...]
    owner: int
    attachment: Attachment
    names: Names | None
    followed: Followed | None
    release_sigterm: Callable[[], None]


def close_when_dropped(session: object, held: Held) -> Callable[[], object]:
    """Close what is held once ``session`` has gone. Return what calls this off."""
    finalizer = weakref.finalize(session, _let_go, held)
    finalizer.atexit = False  # the process ends, and takes its descriptors along
    return finalizer.detach


def notify_weakly(notify: Callable[[Notice], object]) -> Callable[[Notice], object]:
    """Return the same for a thread that must not keep the session of a bound method alive."""
    method = weakref.WeakMethod(notify)

    def notify_if_there(notice: Notice) -> None:
        bound = method()
        if bound is not None:
            bound(notice)

    return notify_if_there


def _let_go(held: Held) -> None:
    """Warn and close, in whichever thread dropped the last reference."""
    if os.getpid() != held.owner:
        return  # a forked child has closed its copies
    from bpfprobe.output import warn_unclosed  # which hardly any session needs

    more = f" and {len(held.probes) - _NAMED} more" if len(held.probes) > _NAMED else ""
    named = ", ".join(probe.name for probe in held.probes[:_NAMED])
    try:
        warn_unclosed(
            f"unclosed session of {named}{more}, whose probes were attached until now: "
            "`with Session(...) as session:` closes it, and so does session.close()",
            held.attachment,
        )
    finally:
        held.release_sigterm()
        if held.followed is None:
            _close(held)
        else:
            import threading

            # It waits for the thread that follows, which may be this one.
            threading.Thread(target=_close, args=(held,)).start()


def _close(held: Held) -> None:
    with ExitStack() as closing:
        closing.callback(held.attachment.close)
        if held.names is not None:
            closing.callback(held.names.close)
        if held.followed is not None:
            closing.callback(held.followed.following.end)
