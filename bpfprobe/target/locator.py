"""Which file a name means: as the shell and the loader find it, or as a process sees it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from bpfprobe.errors import TargetError
from bpfprobe.target.file_bytes import opened
from bpfprobe.target.lookup import (
    library_paths,
    library_pattern,
    program_paths,
    read_library_cache,
    refusal,
    under,
)
from bpfprobe.target.procmaps import read_mappings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bpfprobe.model.mapping import Mapping
    from bpfprobe.target.files import Files

LIBRARY_CACHE = "/etc/ld.so.cache"
_MOST_CACHE_BYTES = 64 << 20
"""It has some hundred kilobytes; that of another root directory may be anything."""


class Locator:
    """Files of the machine that ``files`` shows, for programs of ``machine``."""

    def __init__(self, files: Files, machine: str) -> None:
        self._files = files
        self._machine = machine
        self._cache = b""
        self._cached: tuple[tuple[str, str], ...] = ()

    def locate(self, name: str, pid: int | None) -> Path:
        """The file that ``name`` means, for us or for a process. Raises `TargetError`."""
        if not name or "\0" in name:
            raise TargetError(f"{name!r} cannot be the name of a file", code="NO_FILE")
        root = self._files.root if pid is None else self._root_of(pid)
        if "/" in name:
            return self._as_path(name, root, pid)
        if pid is not None and (mapped := self._mapped_library(name, root, pid)) is not None:
            return mapped
        tried = 0
        for candidate in self._candidates(name, root, pid):
            tried += 1
            found = _shortest(candidate, root)
            if _is_regular(found):
                return found
        where = f" of process {pid}" if pid is not None else ""
        raise TargetError(
            f"there is no program or library {name}{where}: {tried} places were looked at",
            code="NO_FILE",
            hint=f"give its path (./{name} for one in this directory)",
        )

    def _as_path(self, name: str, root: Path, pid: int | None) -> Path:
        if pid is None:
            # A relative one is still right when the directory is changed.
            return _shortest(name, root) if name.startswith("/") else Path(name).absolute()
        if name.startswith("/proc/"):
            return Path(name)  # its links lead to files, also where their text leads nowhere
        if not name.startswith("/"):
            try:
                start = self._files.real(f"/proc/{pid}/cwd").readlink()
            except OSError as error:
                raise refusal(error, f"/proc/{pid}/cwd") from error
            name = str(start / name)
        return self._replaced(pid, self._mappings(pid)).get(name) or _shortest(name, root)

    def _replaced(self, pid: int, mappings: Iterable[Mapping]) -> dict[str, Path]:
        """The files that a process runs from paths where they are no longer, or others are.

        So it is with programs and libraries that were upgraded.
        """
        maps = f"/proc/{pid}/map_files"
        return {
            mapping.path: self._files.real(f"{maps}/{mapping.start:x}-{mapping.end:x}")
            for mapping in mappings
            if mapping.is_deleted and mapping.executable
        }

    def _mapped_library(self, name: str, root: Path, pid: int) -> Path | None:
        """The file of that name which a process has mapped.

        /proc/PID/maps has its path as this process sees it: in a chroot that is another one than
        the process itself would use.
        """
        fits = library_pattern(name).fullmatch
        mappings = self._mappings(pid)
        replaced = self._replaced(pid, mappings)
        for mapping in mappings:
            base = mapping.path.rsplit("/", 1)[-1]
            if base != name and not fits(base):
                continue
            if mapping.path in replaced:
                return replaced[mapping.path]
            places = _shortest(mapping.path, root), Path(mapping.path)
            there = [place for place in places if _is_regular(place)]
            # On overlayfs the number in the maps may be none that stat(2) gives.
            exact = [place for place in there if place.stat().st_ino == mapping.inode]
            if there:
                return [*exact, *there][0]
        return None

    def _candidates(self, name: str, root: Path, pid: int | None) -> Iterator[str]:
        """Paths as seen from ``root``."""
        yield from program_paths(name, os.environ.get("PATH") if pid is None else None)
        yield from library_paths(name, self._libraries(root))

    def _libraries(self, root: Path) -> tuple[tuple[str, str], ...]:
        """Return (soname, path) of each library in the loader's cache; one is parsed once."""
        cache = _content(under(root, LIBRARY_CACHE))
        if cache != self._cache:
            self._cache, self._cached = cache, tuple(read_library_cache(cache, self._machine))
        return self._cached

    def _mappings(self, pid: int) -> list[Mapping]:
        read = self._files.read(f"/proc/{pid}/maps")
        if read.data is None:
            raise self._process_refusal(pid, read.errno, read.problem)
        return list(read_mappings(os.fsdecode(read.data).splitlines()))

    def _root_of(self, pid: int) -> Path:
        root = self._files.real(f"/proc/{pid}/root")
        try:
            root.readlink()
        except OSError as error:
            problem = f"{root}: {error.strerror}"
            raise self._process_refusal(pid, error.errno or 0, problem) from error
        return root

    def _process_refusal(self, pid: int, errno: int, problem: str) -> TargetError:
        if not self._files.real(f"/proc/{pid}").exists() or errno == 3:  # ESRCH
            return TargetError(f"there is no process {pid}", code="NO_PROCESS")
        if errno == 2:  # ENOENT: of a zombie nothing is left but its exit status
            return TargetError(
                f"process {pid} has ended, and its parent has not asked how", code="NO_PROCESS"
            )
        return TargetError(
            f"process {pid} cannot be looked into: {problem}",
            code="NO_ACCESS",
            hint="run as root, or as the user of the process",
        )

    def is_mapped(self, pid: int, path: str) -> bool:
        """Whether the process has the file mapped executable. Raises `TargetError`."""
        root = self._root_of(pid)
        try:
            wanted = os.stat(path)  # noqa: PTH116  # held against other stats below
        except OSError as error:
            raise refusal(error, path) from error
        for mapping in self._mappings(pid):
            if not mapping.executable or mapping.inode != wanted.st_ino:
                continue
            if mapping.device == wanted.st_dev or _is_file(root, mapping, wanted):
                return True
        return False

    def mapped_files(self, pid: int) -> tuple[str, ...]:
        """Paths of the files whose code the process has mapped. Raises `TargetError`."""
        code = {mapping.path for mapping in self._mappings(pid) if mapping.executable}
        return tuple(sorted(path for path in code if path.startswith("/")))

    def before(self, name: str, path: str) -> Iterator[str]:
        """Where a name without a ``/`` would have been found before it was found at ``path``."""
        for candidate in self._candidates(name, self._files.root, None):
            if str(_shortest(candidate, self._files.root)) == path:
                return
            yield candidate


def _shortest(path: str, root: Path) -> Path:
    """The file at ``path`` under ``root``, by its plain path where that is the same file."""
    there = under(root, path)
    try:
        if there.samefile(path):
            return Path(path)
    except OSError:  # one of them is not there: opening it will tell
        pass
    return there


def _is_regular(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # out of reach: the next place may not be
        return False


def _is_file(root: Path, mapping: Mapping, wanted: os.stat_result) -> bool:
    """Whether a mapped path leads to the file.

    On btrfs and overlayfs the device in /proc/PID/maps is not the one that stat(2) gives.
    """
    try:
        return os.path.samestat(under(root, mapping.path).stat(), wanted)
    except OSError:  # deleted, or out of reach
        return False


def _content(path: Path) -> bytes:
    try:
        with opened(path) as data:
            return data.read(0, _MOST_CACHE_BYTES)
    except TargetError:  # musl has no cache; the standard directories remain
        return b""
