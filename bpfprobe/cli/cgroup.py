"""``--cgroup-path``: a cgroup (version 2) and all below it, as a filter."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from bpfprobe.errors import BpfprobeError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bpfprobe.target import Target

_OWN = "$current->cgroups->dfl_cgrp"
_MOUNT = re.compile(r"\d+ \d+ \S+ (?P<root>\S+) (?P<point>\S+) .* - cgroup2 ")


def in_cgroup(path: str) -> str:
    """The text of the filter. Raises `BpfprobeError` (NO_CGROUP)."""
    from bpfprobe.target.live import LiveTarget

    folder = Path(path).resolve()
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    level = cgroup_level(str(folder), mounts)
    if level is None or not folder.is_dir():
        raise BpfprobeError(
            f"{path} is not a cgroup of version 2",
            code="NO_CGROUP",
            hint="for example /sys/fs/cgroup/system.slice; with a SPEC of ours or the kernel's -c "
            "runs a command, which is --command with all",
        )
    return filter_text(level, folder.stat().st_ino, LiveTarget())


def cgroup_level(folder: str, mounts: Iterable[str]) -> int | None:
    """How deep a folder is in the hierarchy, 0 for its root; None for one that is not in it.

    ``mounts`` are the lines of /proc/self/mountinfo (proc_pid_mountinfo(5)). Of nested mounts the
    last one counts.
    """
    level = None
    for line in mounts:
        found = _MOUNT.match(line)
        if found is None:
            continue
        point = found["point"].rstrip("/")
        if folder == point or folder.startswith(f"{point}/"):
            parts = f"{found['root']}{folder[len(point) :]}".split("/")
            level = len([part for part in parts if part])
    return level


def filter_text(level: int, number: int, target: Target) -> str:
    """A filter of ours: the ancestor of the task's cgroup at this level has this number.

    Linux commit 7f203bc89eb6 ("cgroup: Replace cgroup->ancestor_ids[] with ->ancestors[]") (in
    v6.1) made pointers of numbers.
    """
    struct = target.struct("cgroup")
    names = {member.name for member in target.members(struct)} if struct is not None else set()
    if not names & {"ancestors", "ancestor_ids"}:
        raise BpfprobeError(
            "--cgroup-path needs the kernel's types (BTF)",
            code="NO_BTF",
            hint="one cgroup without those below it: if cgroup == NUMBER, where NUMBER is what "
            "stat -c %i PATH prints",
        )
    ancestor = f"ancestors[{level}]->kn->id" if "ancestors" in names else f"ancestor_ids[{level}]"
    return f"{_OWN}->level >= {level} && {_OWN}->{ancestor} == {number}"
