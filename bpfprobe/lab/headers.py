"""The headers of a kernel as an image, for the tools that compile against them."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

from bpfprobe.lab.cache import fingerprint
from bpfprobe.lab.debs import unpack
from bpfprobe.lab.errors import HeadersUnavailable
from bpfprobe.lab.filesystem import MIB, make_ext4

if TYPE_CHECKING:
    from pathlib import Path

    from bpfprobe.lab.apt import Apt
    from bpfprobe.lab.cache import Cache
    from bpfprobe.lab.progress import Progress
    from bpfprobe.lab.tools import Tools

IMAGE_SIZE = 512 * MIB
WANTED = ("include", "arch/x86", "Makefile", ".config")


def fetch_headers(cache: Cache, apt: Apt, tools: Tools, release: str, progress: Progress) -> Path:
    """Fetch a kernel's header packages and make an image of what a BPF compiler reads."""
    if not apt.names(f"^linux-headers-{re.escape(release)}$"):
        raise HeadersUnavailable(
            f"the mirror has no headers of kernel {release}",
            hint="take another kernel, or do without: bpfprobe itself needs none",
        )
    common = f"linux-headers-{release.removesuffix('-cloud-amd64')}-common"
    selection = apt.select([f"linux-headers-{release}", common], with_dependencies=False)
    target = cache.directory("headers") / f"{release}.{fingerprint(selection.names)}"
    if not target.is_dir():
        with (
            progress.step(f"fetching the headers of kernel {release}, building an image"),
            selection.fetched() as debs,
            cache.building(target) as scratch,
        ):
            tree = scratch / "tree"
            unpack(debs, tree)
            selection.note(scratch)
            for package in (tree / "usr/src").iterdir():
                _keep_wanted(package)
            make_ext4(tools, tree / "usr/src", scratch / "headers.img", IMAGE_SIZE)
            shutil.rmtree(tree)
    return target / "headers.img"


def _keep_wanted(package: Path) -> None:
    for path in package.iterdir():
        if path.name == "arch":
            for architecture in path.iterdir():
                if architecture.is_dir() and architecture.name != "x86":
                    shutil.rmtree(architecture)
        elif path.name not in WANTED and path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
