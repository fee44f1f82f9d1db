"""The Python environment of this process, as images that the guest mounts at the same paths."""

from __future__ import annotations

import os
import site
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bpfprobe.lab.cache import fingerprint, keep_newest, touched
from bpfprobe.lab.filesystem import make_ext4

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bpfprobe.lab.cache import Cache
    from bpfprobe.lab.progress import Progress
    from bpfprobe.lab.tools import Tools

SYSTEM = Path("/usr")
KEPT_IMAGES = 8
IDLE_S = 3600.0


@dataclass(frozen=True, slots=True)
class Environment:
    """An interpreter, and the directories it lives on besides the system's."""

    interpreter: str
    roots: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class EnvironmentImage:
    """One such directory as an image."""

    root: Path
    image: Path


def current_environment() -> Environment:
    """The environment that runs this process."""
    interpreter = sys.executable
    if sys.prefix == sys.base_prefix == str(SYSTEM):
        interpreter = f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"
    candidates = [Path(sys.prefix), Path(sys.base_prefix)]
    candidates += [Path(path) for path in site.getsitepackages()]
    if site.ENABLE_USER_SITE:
        candidates.append(Path(site.getusersitepackages()))
    return Environment(interpreter, tuple(outermost(candidates)))


def outermost(candidates: Iterable[Path]) -> list[Path]:
    """Those directories that exist, are not the system's own, and lie in no other of them."""
    local = SYSTEM / "local"
    kept: list[Path] = []
    for path in sorted({path for path in candidates if path.is_dir()}):
        of_system = path.is_relative_to(SYSTEM) and not path.is_relative_to(local)
        empty = not any(path.iterdir())
        if not (of_system or empty or any(path.is_relative_to(other) for other in kept)):
            kept.append(path)
    return kept


def environment_key(root: Path) -> str:
    """A name for what a directory holds, from names, sizes and times; bytecode does not count."""
    seen: list[tuple[str, int, int]] = []
    pending = [str(root)]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.name == "__pycache__":
                    continue
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                else:
                    info = entry.stat(follow_symlinks=False)
                    seen.append((entry.path, info.st_size, info.st_mtime_ns))
    return fingerprint(sorted(seen))


def environment_images(
    cache: Cache, tools: Tools, environment: Environment, progress: Progress
) -> list[EnvironmentImage]:
    """The images of an environment, built where they are not in the cache yet."""
    directory = cache.directory("environments")
    images = []
    for root in environment.roots:
        target = directory / environment_key(root)
        if not touched(target):
            with cache.lock("environments"):
                if not touched(target):
                    with progress.step(f"packing {root}"), cache.building(target) as scratch:
                        make_ext4(tools, root, scratch / "image")
        images.append(EnvironmentImage(root, target / "image"))
    cache.prune(keep_newest(list(directory.glob("[!.]*")), KEPT_IMAGES, IDLE_S, time.time()))
    return images
