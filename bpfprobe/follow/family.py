"""A process with all that descend from it, by what is told of forks and ends in any order."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

REMEMBERED = 4096
"""So many that have ended still count: what they forked may be told later, by another CPU."""


class Family:
    """The process ``head`` and its descendants, those that have ended lately included."""

    def __init__(self, head: int, parents: Mapping[int, int]) -> None:
        self.head = head
        self._parents: dict[int, int] = {}
        self._members = {head}
        self._ended: deque[int] = deque()
        self.learn(parents)

    def __contains__(self, pid: int) -> bool:
        return pid in self._members

    def members(self) -> tuple[int, ...]:
        """Those that are known, in order."""
        return tuple(sorted(self._members))

    def learn(self, parents: Mapping[int, int]) -> None:
        """Each process that lives now, with its parent; all others have ended."""
        self._parents = dict(parents)
        self._members = {pid for pid in self._members if pid in parents or pid == self.head}
        self._ended.clear()
        for pid in parents:
            self._join(pid)

    def forked(self, pid: int, parent: int) -> tuple[int, ...]:
        """The processes that are found to belong to it now."""
        before = set(self._members)
        if pid in self._ended:  # a number that is used again
            self._ended.remove(pid)
            self._members.discard(pid)
            before.discard(pid)
        self._parents[pid] = parent
        for known in tuple(self._parents) if parent in self._members else ():
            self._join(known)
        return tuple(sorted(self._members - before))

    def ended(self, pid: int) -> None:
        """A process has ended."""
        self._parents.pop(pid, None)
        if pid in self._members and pid not in self._ended:
            self._ended.append(pid)
            if len(self._ended) > REMEMBERED:
                self._members.discard(self._ended.popleft())

    def _join(self, pid: int) -> None:
        """Take in a process, and those between it and one that belongs, if any of them does."""
        line = []
        while pid not in self._members:
            line.append(pid)
            parent = self._parents.get(pid)
            if parent is None or parent in line:
                return
            pid = parent
        self._members.update(line)
