"""``bpfprobe list 'usdt:...'``: the markers of programs and libraries."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from bpfprobe.errors import TargetError
from bpfprobe.model.usdt_name import typed_usdt_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfprobe.model.machine import UsdtMarker
    from bpfprobe.target import Target

_NO_CODE = frozenset({"NO_FILE", "NOT_ELF", "NOT_REGULAR"})  # deleted since, or a device


def list_markers(pattern: str, target: Target, verbosity: int, pid: int | None) -> Iterator[str]:
    """A line for each marker that fits ``PATH:GLOB``; the glob is for ``provider:name`` or name.

    With ``pid`` and no path those of every file that the process runs code from. Raises
    `TargetError`: NOTHING_FITS, and those of `Target.binary` and `Target.markers`.
    """
    path, glob = _split(pattern)
    if "*" in path or not path:
        if pid is None:
            raise TargetError(
                "the markers of which file, or of which process?",
                code="BAD_PATTERN",
                hint="bpfprobe list 'usdt:python3:*', or with -p PID 'usdt:*'",
            )
        files = target.mapped_files(pid)
    else:
        files = (path,)
    found = 0
    for file in files:
        for line in _markers_of(file, glob, target, verbosity, pid, one=len(files) == 1):
            found += not line.startswith(" ")
            yield line
    if not found:
        where = path if len(files) == 1 else f"the {len(files)} files of process {pid}"
        raise TargetError(f"no marker of {where} fits {glob}", code="NOTHING_FITS")


def _split(pattern: str) -> tuple[str, str]:
    """The path, and the glob behind it: ``PATH``, ``PATH:NAME`` or ``PATH:PROVIDER:NAME``."""
    parts = pattern.rsplit(":", 2)
    if len(parts) == 3 and "/" not in parts[1]:
        return parts[0], f"{parts[1]}:{parts[2]}"
    path, _, glob = pattern.rpartition(":")
    return (path, glob) if path else (pattern, "*")


def _markers_of(
    file: str, glob: str, target: Target, verbosity: int, pid: int | None, *, one: bool
) -> Iterator[str]:
    try:
        binary = target.binary(file, pid)
    except TargetError as error:
        if one or error.code not in _NO_CODE:
            raise
        return
    for marker in target.markers(binary):
        name = f"{marker.provider}:{marker.name}"
        typed_name = typed_usdt_name(marker.name)
        typed = f"{typed_usdt_name(marker.provider)}:{typed_name}"
        if any(fnmatchcase(one, glob) for one in (name, marker.name, typed, typed_name)):
            yield f"usdt:{binary.path}:{typed}"
            yield from _about(marker, verbosity)


def _about(marker: UsdtMarker, verbosity: int) -> Iterator[str]:
    if not verbosity:
        return
    places, counts = len(marker.locations), {len(p.arguments.split()) for p in marker.locations}
    most = max(counts, default=0)
    parts = [f"{places} place{'s' * (places != 1)}", f"{most} argument{'s' * (most != 1)}"]
    if marker.semaphore:
        parts.append(f"semaphore {marker.semaphore:#x}")
    yield f"    {', '.join(parts)}"
    if verbosity > 1:
        for place in marker.locations:
            yield f"    {place.address:#x}  {place.arguments}".rstrip()
