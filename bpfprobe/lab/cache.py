"""Where the lab keeps what it fetched and built: private, locked, and replaced only whole."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bpfprobe.lab.errors import LabUnavailable
from bpfprobe.trust import UntrustedError, open_trusted
from bpfprobe.whole_file import replace_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PRIVATE = 0o700


def default_root(environ: Mapping[str, str], euid: int) -> Path:
    """``$BPFPROBE_CACHE/lab``, else /var/cache/bpfprobe/lab for root, else the user's own cache.

    ``off`` there is meant for compiled programs; guests are kept all the same.
    """
    chosen = environ.get("BPFPROBE_CACHE")
    if chosen and chosen != "off":
        return Path(chosen).absolute() / "lab"
    if euid == 0:
        return Path("/var/cache/bpfprobe/lab")
    base = environ.get("XDG_CACHE_HOME") or str(Path(environ.get("HOME", "/")) / ".cache")
    return Path(base).absolute() / "bpfprobe" / "lab"


@dataclass(frozen=True, slots=True)
class Cache:
    """A directory tree that belongs to the caller alone."""

    root: Path

    @classmethod
    def default(cls) -> Cache:
        """The cache of the user that runs this process."""
        return cls(default_root(os.environ, os.geteuid()))

    def directory(self, *names: str) -> Path:
        """A directory of the cache, made if need be, that nobody else may enter."""
        path = self.root.joinpath(*names)
        try:
            folder, _ = open_trusted(str(path), make=True)
            try:
                info = os.fstat(folder)
            finally:
                os.close(folder)
        except (UntrustedError, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise LabUnavailable(
                f"the lab's cache {path} cannot be used: {reason}",
                hint="set BPFPROBE_CACHE to a directory of yours, in directories that only you "
                "and root can change",
            ) from error
        if info.st_uid != os.geteuid():
            raise LabUnavailable(
                f"the lab's cache {path} belongs to user {info.st_uid}, not to you",
                hint="remove it, or set BPFPROBE_CACHE to a directory of yours",
            )
        if info.st_mode & 0o077:
            path.chmod(PRIVATE)
        return path

    @contextlib.contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold a lock between processes (and threads) for as long as the block lasts."""
        path = self.directory("locks") / name
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def prune(self, paths: list[Path]) -> None:
        """Remove what :func:`keep_newest` chose; a guest that still has a file open keeps it."""
        for path in paths:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def record(self, name: str) -> dict[str, Any] | None:
        """What was written under a name, or None when nothing readable was."""
        try:
            found = json.loads((self.directory("records") / f"{name}.json").read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def write_record(self, name: str, content: Mapping[str, Any]) -> None:
        """Keep a small fact, such as which package version was used."""
        text = json.dumps(content, indent=2, sort_keys=True) + "\n"
        replace_file(self.directory("records") / f"{name}.json", text.encode())

    @contextlib.contextmanager
    def building(self, target: Path) -> Iterator[Path]:
        """A scratch directory beside ``target`` that becomes it when the block ends well."""
        scratch = Path(tempfile.mkdtemp(prefix=f".{target.name[:16]}.", dir=target.parent))
        try:
            yield scratch
            if target.is_dir():
                shutil.rmtree(target)
            scratch.rename(target)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def replace_file(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old content or the new, never a part."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        replace_in(folder, path.name, content, mode=0o600)
    finally:
        os.close(folder)


def keep_newest(paths: list[Path], keep: int, idle_s: float, now: float) -> list[Path]:
    """Those of ``paths`` to remove: beyond the ``keep`` last used, and idle for ``idle_s``."""
    used = {path: at for path in paths if (at := last_used(path)) is not None}
    newest_first = sorted(used, key=lambda path: (used[path], path), reverse=True)
    return [path for path in newest_first[keep:] if now - used[path] > idle_s]


def last_used(path: Path) -> float | None:
    """When a file or directory was touched last; None for one that another process removed."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return None


def touched(path: Path) -> bool:
    """Whether a file or directory is there, which from now on counts as just used."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    return True


def bytes_used(directory: Path) -> int:
    """The room a directory's files take on the disk; a sparse file's holes take none."""
    return sum(path.lstat().st_blocks * 512 for path in directory.rglob("*"))


def fingerprint(content: object) -> str:
    """A short name for a value that JSON can hold; equal values have equal names."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
