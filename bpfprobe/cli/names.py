"""Names for the addresses that a trace prints, of programs that have ended too."""

from __future__ import annotations

import re
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Self

from bpfprobe.errors import LoadError, PrivilegeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bpfprobe.engine.process_watch import ProcessWatch
    from bpfprobe.probes import Probe
    from bpfprobe.target.symbolizer import LiveSymbolizer

_USER_SYMBOL = re.compile(r"%[-+ #0-9.]*U")  # of trace(8)


class Names:
    """``symbols`` gives the names. A context manager, to be entered before anything is attached.

    Where addresses of programs are printed, the kernel then tells of all programs that begin: one
    that runs for a moment has ended when its events are read. Where it does not tell (that takes
    CAP_PERFMON), those have no names.
    """

    def __init__(self, probes: Sequence[Probe]) -> None:
        self._wanted = any(_may_print_user_addresses(probe) for probe in probes)
        self._watch: ProcessWatch | None = None

    def __enter__(self) -> Self:
        if self._wanted:
            from bpfprobe.engine.process_watch import ProcessWatch

            with suppress(LoadError, PrivilegeError):
                self._watch = ProcessWatch()
                self.symbols  # noqa: B018  # which looks around: what is there ends as well
        return self

    def __exit__(self, *_: object) -> None:
        if self._watch is not None:
            self._watch.close()

    @cached_property
    def symbols(self) -> LiveSymbolizer:
        """For this machine's addresses, read when one is asked for."""
        from bpfprobe.target.symbolizer import LiveSymbolizer  # most traces have no addresses

        return LiveSymbolizer(told=self._watch.take if self._watch else None)

    def listen(self) -> None:
        """Take what the kernel told, of which it keeps only so much: several times a second."""
        if self._watch is not None:
            self.symbols.listen()


def _may_print_user_addresses(probe: Probe) -> bool:
    """By the words of the description, as one that was compiled before is not parsed again."""
    words = repr(probe.description)
    return "ustack" in words or _USER_SYMBOL.search(words) is not None
