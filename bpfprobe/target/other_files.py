"""Processes that run another file than ours under the same path, because they have other mounts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from bpfprobe.errors import TargetError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class OtherFile(NamedTuple):
    """Process ``pid`` (called ``comm``) runs code of a file at ``path`` which is not ours.

    ``more`` counts the further mount namespaces in which one does.
    """

    path: str
    pid: int
    comm: str
    more: int


def other_files(paths: Iterable[str], pid: int | None = None) -> Iterator[OtherFile]:
    """One for each path at which a process of another mount namespace runs another file.

    With ``pid`` only that process counts. What this process may not look into is passed over, and
    so is who ends meanwhile. Costs a readlink(2) a process, and more only for those elsewhere.
    """
    elsewhere = _namespaces(None if pid is None else [pid])
    for path in paths:
        suspects = [members for members in elsewhere.values() if _has_another(path, members[0])]
        found = [one for members in suspects if (one := _first_to_run(path, members)) is not None]
        if found:
            yield OtherFile(path, found[0], _comm(found[0]), len(found) - 1)


def _namespaces(pids: Iterable[int] | None) -> dict[str, list[int]]:
    """The processes of each mount namespace but ours, in order of their ids."""
    own = _namespace("self")
    if pids is None:
        names = os.listdir("/proc")  # noqa: PTH208  # names, not paths
        pids = sorted(int(name) for name in names if name.isdecimal())
    found: dict[str, list[int]] = {}
    for pid in pids:
        namespace = _namespace(str(pid))
        if namespace not in ("", own):
            found.setdefault(namespace, []).append(pid)
    return found


def _namespace(process: str) -> str:
    try:
        return os.readlink(f"/proc/{process}/ns/mnt")  # noqa: PTH115  # there are many, and it is quicker
    except OSError:  # gone, or not ours to look into
        return ""


def _has_another(path: str, pid: int) -> bool:
    """Whether a process may have another file than ours at a path.

    A link there that begins at its root leads to ours here, which only says no too often.
    """
    try:
        theirs, ours = os.stat(f"/proc/{pid}/root{path}"), os.stat(path)  # noqa: PTH116  # quicker
    except OSError:
        return False
    return not os.path.samestat(theirs, ours)


def _first_to_run(path: str, members: list[int]) -> int | None:
    """The first of some processes that runs code of what it has at a path."""
    # Most services with mounts of their own have the same programs and libraries as all.
    from pathlib import Path

    from bpfprobe.target.files import Files
    from bpfprobe.target.locator import Locator

    locator = Locator(Files(Path("/")), os.uname().machine)
    for pid in members:
        try:
            if locator.is_mapped(pid, f"/proc/{pid}/root{path}"):
                return pid
        except TargetError:  # it has ended
            continue
    return None


def _comm(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", "rb") as file:
            return os.fsdecode(file.read()).rstrip("\n")
    except OSError:
        return ""
