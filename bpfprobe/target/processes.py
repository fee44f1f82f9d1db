"""Whether a process that named itself by its pid is still there."""

from __future__ import annotations

import os
import re
import time
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from bpfprobe.model.noun import dataclass
from bpfprobe.model.regex import regex
from bpfprobe.target.files import Files

if TYPE_CHECKING:
    from collections.abc import Iterator

_STATUS_LINE = regex(r"^(\w+):\s*(.*?)\s*$", re.MULTILINE)
_INITIAL_NAMESPACE = "pid:[4026531836]"  # PROC_PID_INIT_INO, <linux/proc_ns.h>
_SLACK_S = 5.0
"""By how much a process must be younger than an event, for its id to have been used again."""


@dataclass(frozen=True, slots=True)
class Life:
    """Whether a process has ended: yes, no, or it cannot be told; with the evidence."""

    ended: bool | None
    evidence: str


class Processes:
    """The processes of the machine under ``root``, as they were when first asked for.

    One that has ended since counts as living: whoever asks is told too little, never too much.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._files = Files(root)

    def life(self, pid: int, since: float | None) -> Life:
        """Whether the process that called itself ``pid`` and made something at ``since`` has ended.

        The id may be of any pid namespace. A process with that id is taken for the maker unless it
        started after ``since`` (seconds since 1970) and holds no perf event, as the maker would.
        """
        if self._link("self/ns/pid") != _INITIAL_NAMESPACE:
            return Life(None, "processes outside of this pid namespace cannot be seen from here")
        for process in self._with_id(pid):
            status = self._statuses[process]
            name = status.get("Name", "?")
            if status.get("State", "")[:1] in ("Z", "X") and status.get("Threads", "1") == "1":
                continue  # killed and not waited for: it holds nothing any more
            if not self._is_younger(process, since) or self._holds_perf_event(process):
                return Life(False, f"process {process} ({name}) lives")
        return Life(True, f"process {pid} has ended")

    def _with_id(self, pid: int) -> Iterator[int]:
        """Processes that are ``pid`` in this or in a nested pid namespace, by their id here."""
        for process, status in self._statuses.items():
            if str(pid) in status.get("NSpid", str(process)).split():
                yield process

    @cached_property
    def _statuses(self) -> dict[int, dict[str, str]]:
        """What /proc/PID/status says of each process."""
        names = (self._files.names("/proc").text or "").split()
        found = {}
        for name in filter(str.isdecimal, names):
            text = self._files.read(f"/proc/{name}/status").text or ""
            found[int(name)] = dict(_STATUS_LINE.findall(text))
        return found

    def _is_younger(self, process: int, since: float | None) -> bool:
        """Whether a process surely started after ``since``."""
        stat = (self._files.read(f"/proc/{process}/stat").text or "").rpartition(")")[2].split()
        uptime = (self._files.read("/proc/uptime").text or "").split()
        if since is None or len(stat) < 20 or not uptime:
            return False
        booted = time.time() - float(uptime[0])
        started = booted + int(stat[19]) / os.sysconf("SC_CLK_TCK")
        return started > since + _SLACK_S

    def _holds_perf_event(self, process: int) -> bool:
        """Whether a process holds a perf event open; true where that cannot be seen."""
        read = self._files.names(f"/proc/{process}/fd")
        if read.data is None:
            return not read.missing
        links = (self._link(f"{process}/fd/{number}") for number in (read.text or "").split())
        return any(link == "anon_inode:[perf_event]" for link in links)

    def _link(self, path: str) -> str:
        try:
            return str(self._files.real(f"/proc/{path}").readlink())
        except OSError:
            return ""
