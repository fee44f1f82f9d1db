"""A process with all that descend from it, by what is told of forks and ends in any order."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

REMEMBERED = 4096
"""So many that have ended still count: what they forked may be told later, by another CPU."""


class Family:
    """The process ``head`` and its descendants, those that have ended lately included."""

    def __init__(self, head: int, parents: Mapping[int, int]) -> None:
        self.head = head
        self._members = {head}
        self._ended: dict[int, None] = {}  # members, in this order
        self._parents: dict[int, int] = {}  # of all others that live
        self._children: dict[int, set[int]] = {}  # the same the other way round
        self.learn(parents)

    def __contains__(self, pid: int) -> bool:
        return pid in self._members

    def members(self) -> tuple[int, ...]:
        """Those that are known, in order."""
        return tuple(sorted(self._members))

    def learn(self, parents: Mapping[int, int]) -> None:
        """Each process that lives now, with its parent; all others have ended."""
        self._members = {pid for pid in self._members if pid in parents or pid == self.head}
        for memory in (self._ended, self._parents, self._children):
            memory.clear()
        for pid in parents.keys() - self._members:
            self._note(pid, parents[pid])
        for pid in tuple(self._members):
            self._adopt(pid)

    def forked(self, pid: int, parent: int) -> tuple[int, ...]:
        """The processes that are found to belong to it now."""
        self._forget(pid)  # its number may have been another's
        self._members.discard(pid)
        self._note(pid, parent)
        return self._adopt(parent) if parent in self._members else ()

    def ended(self, pid: int) -> None:
        """A process has ended."""
        self._forget(pid)
        if pid in self._members:
            self._ended[pid] = None
            if len(self._ended) > REMEMBERED:
                oldest = next(iter(self._ended))
                del self._ended[oldest]
                self._members.discard(oldest)

    def goes_on(self, pid: int) -> None:
        """It seemed to have ended, and has not."""
        self._ended.pop(pid, None)

    def _note(self, pid: int, parent: int) -> None:
        self._parents[pid] = parent
        self._children.setdefault(parent, set()).add(pid)

    def _forget(self, pid: int) -> None:
        self._ended.pop(pid, None)
        if (parent := self._parents.pop(pid, None)) is not None:
            self._children[parent].discard(pid)
            if not self._children[parent]:
                del self._children[parent]

    def _adopt(self, pid: int) -> tuple[int, ...]:
        """Take in the children of a member, and theirs."""
        joined = list(self._children.pop(pid, ()))
        for one in joined:
            del self._parents[one]
            joined += self._children.pop(one, ())
        self._members.update(joined)
        return tuple(sorted(joined))
