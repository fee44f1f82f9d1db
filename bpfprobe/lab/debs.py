"""Unpacking Debian packages into a directory, without installing them."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from bpfprobe.lab.errors import LabUnavailable
from bpfprobe.lab.process import environment, last_words

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MERGED = ("bin", "sbin", "lib", "lib64")
UNWANTED = ("./usr/share/doc", "./usr/share/man", "./usr/share/locale", "./usr/share/info")
WORKERS = 2


def unpack(debs: Sequence[Path], root: Path, *, merged_usr: bool = True) -> None:
    """Unpack packages over each other into ``root``."""
    if merged_usr:
        for name in MERGED:
            (root / "usr" / name).mkdir(parents=True, exist_ok=True)
            if not (root / name).is_symlink():
                (root / name).symlink_to(f"usr/{name}")
    with ThreadPoolExecutor(WORKERS) as pool:
        for _ in pool.map(lambda deb: _unpack_one(deb, root), debs):
            pass


def _unpack_one(deb: Path, root: Path) -> None:
    excludes = [f"--exclude={path}" for path in UNWANTED]
    # dpkg-deb -x would replace the links of a merged /usr by directories; tar can be told not to.
    extract = ["tar", "-x", "--keep-directory-symlink", "--no-same-owner", "--warning=none"]
    try:
        with subprocess.Popen(
            ["dpkg-deb", "--fsys-tarfile", str(deb)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
        ) as reader:
            done = subprocess.run(
                [*extract, *excludes, "-C", str(root), "-f", "-"],
                stdin=reader.stdout,
                stderr=subprocess.PIPE,
                env=environment(),
                check=False,
            )
            complaint = reader.stderr.read() if reader.stderr else b""
    except FileNotFoundError as error:
        raise LabUnavailable(
            f"the program {error.filename} is not installed", hint="apt-get install dpkg tar"
        ) from error
    if reader.returncode or done.returncode:
        raise LabUnavailable(
            f"the package {deb.name} cannot be unpacked: {last_words(complaint + done.stderr)}",
            hint="remove it from the cache if it is damaged, and check the disk's free space",
        )
