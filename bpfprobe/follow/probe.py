"""What one probe of a session that follows is meant for, and where it has got to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.model.mapping import FileKey
from bpfprobe.model.place import Awaited, Place

if TYPE_CHECKING:
    from collections.abc import Callable

    from bpfprobe.engine import Link
    from bpfprobe.follow.family import Family
    from bpfprobe.model.mapping import Mapped
    from bpfprobe.model.wanted import Wanted

MOST_PASSED = 65536
"""Files that are remembered not to be meant; then it begins anew."""


class FollowedProbe:
    """The probe number ``index``, whose events are called ``name``.

    ``family`` are the processes in which alone it goes, each by a link of its own; None for all
    processes, by one link a file. At most ``max_places`` places are taken.
    """

    def __init__(
        self, index: int, name: str, wanted: Wanted, family: Family | None, max_places: int
    ) -> None:
        self.index, self.name, self.wanted = index, name, wanted
        self.family = family
        self._max_places = max_places
        self._attached: dict[tuple[FileKey, int | None], tuple[Place, list[Link]]] = {}
        self._aliases: dict[FileKey, FileKey] = {}
        self._passed: set[tuple[FileKey, str]] = set()
        self._leads: FileKey | None = None
        self.refused: set[tuple[FileKey, int]] = set()
        """Files, with when they were changed last, that it cannot go to."""
        self.is_full = False

    def scope(self, pid: int) -> int | None:
        """The process that a place would be for."""
        return None if self.family is None else pid

    def places(self) -> tuple[Place, ...]:
        """Where it is."""
        return tuple(place for place, _ in tuple(self._attached.values()))

    def awaited(self) -> Awaited | None:
        """What it waits for, if it is nowhere."""
        if self._attached:
            return None
        pid = None if self.family is None else self.family.head
        return Awaited(self.name, self.wanted.name, pid)

    def is_news(self, mapped: Mapped, leads_to: Callable[[Wanted, Mapped], bool]) -> bool:
        """Whether a file is meant that it is not in yet, before anybody has opened that file.

        ``leads_to`` is asked once of each file whose path alone does not say so, until that path
        leads elsewhere.
        """
        if self.family is not None and mapped.pid not in self.family:
            return False
        file, path = mapped.mapping.file, mapped.mapping.path
        seen = (file, path)
        if seen in self._passed or self.has(file, self.scope(mapped.pid)):
            return False
        wanted = self.wanted
        if wanted.fits(path) or (wanted.leads and leads_to(wanted, mapped)):
            return True
        if len(self._passed) >= MOST_PASSED:
            self._passed.clear()
        self._passed.add(seen)
        return False

    def look_where_it_leads(self, leads: Callable[[Wanted, int | None], FileKey | None]) -> None:
        """Where its path leads elsewhere now, files that were passed before may be meant."""
        if not self.wanted.leads:
            return
        file = leads(self.wanted, self.family.head if self.family is not None else None)
        if file != self._leads:
            self._leads = file
            self._passed.clear()

    def has(self, file: FileKey, pid: int | None) -> bool:
        """Whether it is in a file, by the numbers of stat(2) or those of a mapping."""
        return (self._aliases.get(file, file), pid) in self._attached

    def is_the_same(self, mapped: FileKey, file: FileKey) -> None:
        """A mapping's numbers may differ from those of the file behind it."""
        self._aliases.pop(mapped, None)
        if mapped != file:
            self._aliases[mapped] = file

    def has_room(self, sites: int) -> bool:
        """Whether so many places more are within the limit."""
        return sum(place.sites for place in self.places()) + sites <= self._max_places

    def add(self, place: Place, links: list[Link]) -> None:
        """It is attached in one more file."""
        self._attached[(_key(place), place.pid)] = (place, links)

    def pids(self) -> set[int]:
        """The processes that it is attached in alone."""
        return {pid for _, pid in self._attached if pid is not None}

    def leave(self, pid: int) -> list[Link]:
        """The links of a process that has ended, which are nobody's now."""
        links: list[Link] = []
        for key in [key for key in self._attached if key[1] == pid]:
            links += self._attached.pop(key)[1]
        self.is_full = self.is_full and not links
        return links


def _key(place: Place) -> FileKey:
    return FileKey(place.device, place.inode)
