"""What processes have mapped: read while they live, or told by the kernel as it happened."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bpfprobe.model.mapping import Executed, Forked, Mapped
from bpfprobe.target.procmaps import read_all_mappings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bpfprobe.model.mapping import Mapping, ProcessRecord
    from bpfprobe.target.files import Files

    Mappings = dict[tuple[int, int], Mapping]

MAX_PROCESSES = 4096
"""Of how many processes the mappings are remembered; those that were heard of first go first."""


class ProcessMaps:
    """Mappings of processes, by address.

    ``told`` gives what the kernel has told since it was last called. Without it a process is known
    from the first time that it is asked about, if it lives then.
    """

    def __init__(
        self, files: Files, told: Callable[[], Iterable[ProcessRecord]] | None = None
    ) -> None:
        self._files = files
        self._told = told
        self._mappings: dict[int, Mappings] = {}
        self._unread: dict[int, bytes] = {}
        self._parents: dict[int, int] = {}

    def look_around(self) -> None:
        """Remember what all processes have now; those that begin later are told of."""
        for name in (self._files.names("/proc").text or "").split():
            if name.isdecimal() and (data := self._read(int(name))):
                self._unread[int(name)] = data

    def listen(self) -> None:
        """Take what was told: there is room for so much of it only."""
        for record in () if self._told is None else self._told():
            match record:
                case Mapped(pid, mapping):
                    _add(self._known(pid), mapping)
                case Forked(pid, parent):
                    self._forget(pid)
                    if parent in self._mappings:
                        self._remember(pid, self._mappings[parent].copy())
                    else:
                        self._parents[pid] = parent
                case Executed(pid):
                    self._forget(pid)
                    self._remember(pid, {})

    def at(self, pid: int, address: int) -> Mapping | None:
        """What process ``pid`` has at an address, or had when it ended; None for nothing."""
        self.listen()
        found = _at(self._mappings.get(pid, {}), address)
        if found is None and (data := self._read(pid)):
            self._forget(pid)
            self._remember(pid, _parsed(data))
            found = _at(self._mappings[pid], address)
        return found or _at(self._known(pid), address)

    def _known(self, pid: int) -> Mappings:
        """What was known of a process before; of one that only forked, what its parent has."""
        if pid not in self._mappings:
            parent = self._parents.pop(pid, None)
            if pid in self._unread:
                before = _parsed(self._unread.pop(pid))
            elif parent is not None:
                known = self._mappings.get(parent)
                before = known.copy() if known else _parsed(self._seen(parent))
            else:
                before = {}
            self._remember(pid, before)
        return self._mappings[pid]

    def _seen(self, pid: int) -> bytes:
        return self._read(pid) or self._unread.get(pid, b"")

    def _read(self, pid: int) -> bytes:
        return self._files.read(f"/proc/{pid}/maps").data or b""

    def _remember(self, pid: int, mappings: Mappings) -> None:
        while len(self._mappings) >= MAX_PROCESSES:
            del self._mappings[next(iter(self._mappings))]
        while len(self._parents) >= MAX_PROCESSES:
            del self._parents[next(iter(self._parents))]
        self._mappings[pid] = mappings

    def _forget(self, pid: int) -> None:
        self._mappings.pop(pid, None)
        self._unread.pop(pid, None)
        self._parents.pop(pid, None)


def _parsed(data: bytes) -> Mappings:
    mappings: Mappings = {}
    for mapping in read_all_mappings(os.fsdecode(data).splitlines()):
        _add(mappings, mapping)
    return mappings


def _add(mappings: Mappings, mapping: Mapping) -> None:
    """As the latest, in the place of one that had the same addresses."""
    span = (mapping.start, mapping.end)
    mappings.pop(span, None)
    mappings[span] = mapping


def _at(mappings: Mappings, address: int) -> Mapping | None:
    """The latest that holds an address: what is told is told over what was there."""
    return next((m for m in reversed(mappings.values()) if m.start <= address < m.end), None)
