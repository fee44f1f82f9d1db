"""Which files a probe is meant for, told by the path at which a process maps them."""

from __future__ import annotations

import re

from bpfprobe.model.noun import dataclass


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file by the name that a description gives it.

    ``paths`` are absolute: the one that is meant, and what it leads to for us. ``base`` is a
    regular expression for the last part of any path, empty where the name was a path. With
    ``leads`` a process for which the first path leads to a file means that file, whatever it maps
    it as.
    """

    name: str
    paths: tuple[str, ...]
    base: str = ""
    leads: bool = False

    def fits(self, path: str) -> bool:
        """Whether a file that a process sees at ``path`` is meant, as far as the path can say."""
        if path in self.paths:
            return True
        return bool(self.base) and re.fullmatch(self.base, path.rpartition("/")[2]) is not None
