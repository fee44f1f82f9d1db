"""Names for the addresses in a session's events, of programs that have ended too."""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property
from threading import RLock
from typing import TYPE_CHECKING

from bpfprobe.errors import LoadError, PrivilegeError
from bpfprobe.model.symbol import Location
from bpfprobe.resource_error import explained
from bpfprobe.starting import live_target

if TYPE_CHECKING:
    from collections.abc import Callable

    from bpfprobe.engine.process_watch import ProcessWatch
    from bpfprobe.model.machine import SymbolRange
    from bpfprobe.model.mapping import ProcessRecord
    from bpfprobe.model.symbol import Symbolizer
    from bpfprobe.target import Target
    from bpfprobe.target.symbolizer import LiveSymbolizer


class Names:
    """``symbols`` gives the names, before and after `close` as well.

    Between `watch` and `close` the kernel tells of all programs that begin: one that runs for a
    moment has ended when its events are read.
    """

    def __init__(self, target: Target | None = None) -> None:
        self._target = target
        self._watch: ProcessWatch | None = None
        self._taking = RLock()  # what is told, whose memory goes with the watch
        self._live: LiveSymbolizer | None = None

    @explained
    def watch(self) -> None:
        """Remember programs from now on, also those that are there.

        Where the kernel does not tell of them (that takes CAP_PERFMON), and where a ``target``
        stands for the machine, those that end have no names.
        """
        if self._target is not None:
            return
        from bpfprobe.engine.process_watch import ProcessWatch

        with suppress(LoadError, PrivilegeError):
            self._watch = ProcessWatch()
            vars(self).pop("symbols", None)  # asked for before, and not told of anything
            self.symbols  # noqa: B018  # which looks around: what is there ends as well

    @cached_property
    def symbols(self) -> Symbolizer:
        """For this machine's addresses, read when one is asked for."""
        if self._target is not None:
            return _NamesOfTarget(self._target)
        from bpfprobe.target.symbolizer import LiveSymbolizer  # most sessions have no addresses

        told: Callable[[], list[ProcessRecord]] | None = self._told if self._watch else None
        self._live = LiveSymbolizer(told=told)
        return self._live

    def symbol_at(self, address: int) -> SymbolRange | None:
        """The kernel's function around an address, as the target has it or this machine."""
        return self._machine.symbol_at(address)

    @cached_property
    def _machine(self) -> Target:
        return self._target or live_target()

    def listen(self) -> None:
        """Take what the kernel told, of which it keeps only so much: several times a second."""
        if self._live is not None:
            self._live.listen()

    def close(self) -> None:
        """End the watching, from any thread; what is known stays. Closing twice does nothing."""
        self.listen()
        with self._taking:
            watch, self._watch = self._watch, None
            if watch is not None:
                watch.close()

    def _told(self) -> list[ProcessRecord]:
        with self._taking:
            return self._watch.take() if self._watch is not None else []


class _NamesOfTarget:
    """The kernel's names on a machine that is described; its processes are not."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def kernel(self, address: int) -> Location | None:
        found = self._target.symbol_at(address)
        if found is None:
            return None
        return Location(found.name, address - found.start, found.size, found.module)

    def user(self, pid: int, address: int) -> Location | None:
        del pid, address
        return None
