"""Where the probes of a session that follows are, and what it waits for."""

from __future__ import annotations

from bpfprobe.model.noun import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """A file that a probe is attached in.

    ``probe`` is the name of its events. ``path`` is as the process saw it that brought the file
    there; ``pid`` the process in which alone it is probed, None for all. ``device`` and ``inode``
    are as stat(2) gives them. ``sites`` counts the places in the file; a return is one.
    """

    probe: str
    path: str
    pid: int | None
    device: int
    inode: int
    sites: int

    def __str__(self) -> str:
        process = "" if self.pid is None else f" of process {self.pid}"
        return f"{self.path}{process} ({self.sites} place{'s' if self.sites > 1 else ''})"


@dataclass(frozen=True, slots=True)
class Awaited:
    """A probe that is attached nowhere yet, and the file that it waits for.

    ``name`` is as the description has it; ``pid`` the process that is to map it, None for any.
    """

    probe: str
    name: str
    pid: int | None

    def __str__(self) -> str:
        process = "" if self.pid is None else f" in process {self.pid}"
        return f"{self.probe} waits for {self.name}{process}"
