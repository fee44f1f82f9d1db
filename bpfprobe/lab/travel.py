"""The checkout, as an image that is attached to a guest when it is restored."""

from __future__ import annotations

import os
import py_compile
import shutil
import stat
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bpfprobe.lab.cache import fingerprint, keep_newest, touched
from bpfprobe.lab.errors import LabUnavailable
from bpfprobe.lab.filesystem import MIB, make_ext4
from bpfprobe.lab.process import environment

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bpfprobe.lab.cache import Cache
    from bpfprobe.lab.tools import Tools

IMAGE_SIZE = 1024 * MIB
CONTENT_LIMIT = 768 * MIB
KEPT_IMAGES = 6
IDLE_S = 600.0
CHECKOUT_MARKS = ("setup.cfg", "setup.py", "pyproject.toml")
SKIPPED = frozenset({".git", ".venv", "__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache"})


@dataclass(frozen=True, slots=True)
class TravelFile:
    """A file of the checkout and what tells that it changed."""

    name: str
    mode: int
    size: int
    mtime_ns: int


def checkout_of(package: Path) -> Path | None:
    """The checkout that a package directory belongs to, or None when it was installed."""
    parent = package.parent
    return parent if any((parent / mark).is_file() for mark in CHECKOUT_MARKS) else None


def list_files(checkout: Path) -> list[TravelFile]:
    """What of a checkout travels: tracked files, and untracked ones that are not ignored."""
    names = (
        _names_from_git(checkout) if (checkout / ".git").exists() else _names_from_walk(checkout)
    )
    files = []
    for name in sorted(names):
        try:
            info = (checkout / name).lstat()
        except FileNotFoundError:
            continue  # tracked, but removed from the work tree
        if stat.S_ISREG(info.st_mode) or stat.S_ISLNK(info.st_mode):
            files.append(TravelFile(name, info.st_mode, info.st_size, info.st_mtime_ns))
    return files


def _names_from_git(checkout: Path) -> Iterable[str]:
    listing = ["git", "-C", str(checkout), "-c", f"safe.directory={checkout}", "ls-files", "-z"]
    try:
        done = subprocess.run(
            [*listing, "--cached", "--others", "--exclude-standard"],
            capture_output=True,
            env=environment(),
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return _names_from_walk(checkout)  # no git here, or a work tree that it refuses
    return {os.fsdecode(name) for name in done.stdout.split(b"\0") if name}


def _names_from_walk(checkout: Path) -> Iterable[str]:
    for directory, below, names in os.walk(checkout):
        below[:] = [n for n in below if n not in SKIPPED and not _is_environment(directory, n)]
        for name in names:
            yield str(Path(directory, name).relative_to(checkout))


def _is_environment(directory: str, name: str) -> bool:
    return Path(directory, name, "pyvenv.cfg").exists()


def checkout_image(cache: Cache, tools: Tools, checkout: Path) -> Path:
    """An image of the checkout as it is now, from the cache when nothing changed."""
    files = list_files(checkout)
    if sum(file.size for file in files) > CONTENT_LIMIT:
        raise LabUnavailable(
            f"the checkout {checkout} holds more than {CONTENT_LIMIT // MIB} MiB",
            hint="let git ignore what the guest does not need",
        )
    facts = [(file.name, file.mode, file.size, file.mtime_ns) for file in files]
    base = cache.directory("checkouts", fingerprint(str(checkout)))
    image = base / f"{fingerprint(facts)}.img"
    if not touched(image):
        with cache.lock(f"checkout-{base.name}"):
            if not touched(image):
                _build(checkout, files, base, tools, image)
    cache.prune(keep_newest(list(base.glob("*.img")), KEPT_IMAGES, IDLE_S, time.time()))
    return image


def _build(
    checkout: Path, files: Sequence[TravelFile], base: Path, tools: Tools, image: Path
) -> None:
    tree = base / "tree"
    tree.mkdir(exist_ok=True)
    bring_up_to_date(tree, checkout, files)
    scratch = image.with_suffix(".part")
    make_ext4(tools, tree, scratch, IMAGE_SIZE)
    scratch.rename(image)


def bring_up_to_date(tree: Path, checkout: Path, files: Sequence[TravelFile]) -> None:
    """Make ``tree`` hold the files of a checkout and nothing else, copying only what changed."""
    _remove_gone(tree, {file.name for file in files})
    for file in files:
        _update(checkout / file.name, tree / file.name, file)


def _remove_gone(tree: Path, names: set[str]) -> None:
    for directory, below, present in os.walk(tree, topdown=False):
        for name in (*present, *(n for n in below if Path(directory, n).is_symlink())):
            path = Path(directory, name)
            if str(_source_of(path.relative_to(tree))) not in names:
                path.unlink()
        if directory != str(tree) and not any(Path(directory).iterdir()):
            Path(directory).rmdir()


def _source_of(path: Path) -> Path:
    """The source of a compiled module, or the path itself."""
    if path.parent.name == "__pycache__":
        return path.parent.parent / f"{path.name.split('.')[0]}.py"
    return path


def _update(source: Path, copy: Path, file: TravelFile) -> None:
    """Copy one file that changed, and compile it, which a guest would do slowly at each run."""
    try:
        old = copy.lstat()
        if (old.st_size, old.st_mtime_ns, old.st_mode) == (file.size, file.mtime_ns, file.mode):
            return
        copy.unlink()
    except FileNotFoundError:
        copy.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copy2(source, copy, follow_symlinks=False)
    except FileNotFoundError:
        return  # removed since it was listed
    if copy.suffix == ".py" and stat.S_ISREG(file.mode):
        # Named by hand: where compiled files go may be set otherwise for this process.
        compiled = copy.parent / "__pycache__" / f"{copy.stem}.{sys.implementation.cache_tag}.pyc"
        py_compile.compile(str(copy), cfile=str(compiled), dfile=str(source), quiet=2)
