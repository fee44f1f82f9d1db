"""Names for code that a program made while it ran, out of /tmp/perf-PID.map.

Node.js (``--perf-basic-prof``), Java (perf-map-agent), CPython (``-X perf``) and others write that
file. As perf(1) has it: it is looked for in the process's own root directory, by the number that
the process has in its own pid namespace, and must be its user's or root's.
"""

from __future__ import annotations

import os
import stat
import time
from typing import TYPE_CHECKING, NamedTuple

from bpfprobe.errors import TargetError
from bpfprobe.model.symbol import Location
from bpfprobe.target.lookup import under
from bpfprobe.target.perf_map import PerfMap

if TYPE_CHECKING:
    from pathlib import Path

    from bpfprobe.model.mapping import Mapping
    from bpfprobe.target.files import Files

MOST_BYTES = 32 << 20
"""Of a file, which somebody else writes: what stands behind them is left out."""

MAX_PROCESSES = 16
MAX_LOOKED_FOR = 4096
_LOOK_S = 0.1
"""Stacks have many frames: what was found, or was not there at all, stays so for that long."""

_NO_FILES = ("/memfd:", "/dev/zero", "/anon_hugepage")
"""How the kernel calls memory that is in no file of a file system."""

_SLACK_S = 1
"""Times of files come from a clock that goes in steps, and clocks are set."""


def may_be_made(place: Mapping) -> bool:
    """Whether a mapping is memory that a program may have filled with code of its own."""
    return place.executable and (not place.is_file or place.path.startswith(_NO_FILES))


class _Process(NamedTuple):
    """A process that lives: when it started, its id in its own namespace, and its user's."""

    started_ticks: int
    own_pid: str
    user: int


class _Known:
    """What was read of a process's file, whole lines only."""

    def __init__(self, own_pid: str, process: _Process | None, status: os.stat_result) -> None:
        self.own_pid = own_pid
        self.process = process
        self.file = (status.st_dev, status.st_ino, status.st_uid)
        self.map = PerfMap()
        self.size = 0

    def take(self, fd: int, size: int) -> None:
        """Read on, up to ``size`` bytes of the file."""
        text = os.pread(fd, min(size, MOST_BYTES) - self.size, self.size)
        whole = text[: text.rfind(b"\n") + 1]
        if whole:
            self.map.add(whole)
            self.size += len(whole)


class JitNames:
    """The names that processes write down, read on when there are more of them."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._since = time.time()
        self._known: dict[int, _Known] = {}
        self._looked_s: dict[int, float] = {}

    def at(self, pid: int, address: int) -> Location | None:
        """The code around an address of a process that lives, or has ended since; None for none."""
        known = self._known.get(pid)
        found = known.map.at(address) if known is not None else None
        is_new = known is not None and found is None
        if is_new or time.monotonic() - self._looked_s.get(pid, -_LOOK_S) >= _LOOK_S:
            self._look(pid)
            known = self._known.get(pid)
            found = known.map.at(address) if known is not None else None
        if known is None or found is None:
            return None
        return Location(found.name, address - found.start, found.size, _path(known.own_pid))

    def _look(self, pid: int) -> None:
        """See whether it still is the same process, and what there is to read."""
        if len(self._looked_s) >= MAX_LOOKED_FOR:
            self._looked_s.clear()
        self._looked_s[pid] = time.monotonic()
        process, known = self._process(pid), self._known.get(pid)
        if known is not None and process is not None and process != known.process:
            del self._known[pid]
        self._read(pid, process)

    def _process(self, pid: int) -> _Process | None:
        status = self._files.read(f"/proc/{pid}/status").text or ""
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        words = (self._files.read(f"/proc/{pid}/stat").text or "").rpartition(")")[2].split()
        if "Uid" not in fields or len(words) < 20 or words[0] in "ZX":
            return None
        own_pid = fields.get("NSpid", str(pid)).split()[-1]
        return _Process(int(words[19]), own_pid, int(fields["Uid"].split()[1]))

    def _read(self, pid: int, process: _Process | None) -> None:
        """Take what the file has more than it had; nothing where there is none to trust."""
        known = self._known.get(pid)
        own_pid = process.own_pid if process else known.own_pid if known else str(pid)
        root = self._files.real(f"/proc/{pid}/root") if process else self._files.root
        try:
            folder, _, name = _path(own_pid).rpartition("/")
            fd = _open(under(root, folder), name)
        except (OSError, TargetError):
            return
        try:
            status = os.fstat(fd)
            if self._is_trusted(status, process, known):
                if known is None or known.file[1] != status.st_ino or known.size > status.st_size:
                    known = self._remember(pid, _Known(own_pid, process, status))
                known.take(fd, status.st_size)
        finally:
            os.close(fd)

    def _is_trusted(
        self, status: os.stat_result, process: _Process | None, known: _Known | None
    ) -> bool:
        """Whether it is a file of this process: its user's or root's, and no earlier process's."""
        if not stat.S_ISREG(status.st_mode):
            return False
        if process is not None:
            ticks = os.sysconf("SC_CLK_TCK")
            booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
            started = booted + process.started_ticks / ticks
            return status.st_uid in (0, process.user) and status.st_mtime >= started - _SLACK_S
        if known is not None:
            return known.file == (status.st_dev, status.st_ino, status.st_uid)
        # It began and ended since, and nobody can tell any more whose it was.
        return status.st_uid in (0, os.geteuid()) and status.st_mtime >= self._since - _SLACK_S

    def _remember(self, pid: int, known: _Known) -> _Known:
        while len(self._known) >= MAX_PROCESSES:
            del self._known[next(iter(self._known))]
        self._known[pid] = known
        return known


def _path(own_pid: str) -> str:
    return f"/tmp/perf-{own_pid}.map"


def _open(folder: Path, name: str) -> int:
    """A descriptor of what has that name, itself and no link. Raises OSError."""
    path = folder / name
    if not stat.S_ISREG(path.lstat().st_mode):  # opening a device may do something
        raise FileNotFoundError(path)
    return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
