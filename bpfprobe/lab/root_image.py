"""The user space of the guest, shared by all kernels: Debian packages, unpacked into one image."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bpfprobe.lab.cache import fingerprint
from bpfprobe.lab.debs import unpack
from bpfprobe.lab.filesystem import make_ext4
from bpfprobe.lab.process import environment, run_tool
from bpfprobe.lab.tools import loader

if TYPE_CHECKING:
    from pathlib import Path

    from bpfprobe.lab.apt import Apt
    from bpfprobe.lab.cache import Cache
    from bpfprobe.lab.kernels import Userland
    from bpfprobe.lab.progress import Progress
    from bpfprobe.lab.tools import Tools

RECIPE = 1  # raise it when what is written into the image changes
HOSTNAME = "bpfprobe-lab"
GUEST_HINT = "run bpfprobe lab --build again"
USERS = (
    ("root", 0, "/root", "/bin/bash"),
    ("daemon", 1, "/usr/sbin", "/usr/sbin/nologin"),
    ("guest", 1000, "/home/guest", "/bin/bash"),
    ("nobody", 65534, "/nonexistent", "/usr/sbin/nologin"),
)


@dataclass(frozen=True, slots=True)
class RootImage:
    """An ext4 image with ``usr`` and ``etc``."""

    directory: Path
    suite: str

    @property
    def image(self) -> Path:
        """The image file."""
        return self.directory / "root.img"


def suite_of_host(userland: Userland, os_release: str) -> str:
    """The suite whose Python matches the host's: the host's own where it is one of Debian's."""
    for line in os_release.splitlines():
        name, _, value = line.partition("=")
        if name == "VERSION_CODENAME" and value.strip('"') in userland.suites:
            return value.strip('"')
    return userland.default


def fetch_root(
    cache: Cache, apt: Apt, tools: Tools, userland: Userland, suite: str, progress: Progress
) -> RootImage:
    """Fetch the guest's packages and build the image."""
    selection = apt.select(userland.packages, with_dependencies=True)
    target = cache.directory("root") / fingerprint([RECIPE, selection.names])
    if not target.is_dir():
        with cache.building(target) as scratch:
            tree = scratch / "tree"
            what = f"{len(selection.names)} packages of the guest's user space ({suite})"
            with progress.step(f"fetching and unpacking {what}"), selection.fetched() as debs:
                unpack(debs, tree)
            selection.note(scratch)
            with progress.step("building the guest's root image"):
                _finish(tree)
                content = scratch / "content"
                content.mkdir()
                (tree / "usr").rename(content / "usr")
                (tree / "etc").rename(content / "etc")
                make_ext4(tools, content, scratch / "root.img")
                shutil.rmtree(tree)
                shutil.rmtree(content)
    return RootImage(target, suite)


def _finish(tree: Path) -> None:
    """Do what the packages' own scripts would have done, as far as a guest needs it."""
    etc = tree / "etc"
    _write(etc / "passwd", [f"{n}:x:{u}:{u}:{n}:{home}:{shell}" for n, u, home, shell in USERS])
    _write(etc / "group", [f"{n}:x:{u}:" for n, u, *_ in USERS])
    _write(etc / "hostname", [HOSTNAME])
    _write(etc / "hosts", ["127.0.0.1 localhost", f"127.0.1.1 {HOSTNAME}", "::1 localhost"])
    _write(etc / "nsswitch.conf", ["passwd: files", "group: files", "hosts: files"])
    _write(
        etc / "ld.so.conf", ["/usr/local/lib", "/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu"]
    )
    (etc / "mtab").unlink(missing_ok=True)
    (etc / "mtab").symlink_to("/proc/self/mounts")
    for link, goal in (("usr/bin/sh", "bash"), ("usr/bin/awk", "mawk")):
        if not (tree / link).is_symlink():
            (tree / link).symlink_to(goal)
    for empty in ("usr/src", "usr/local"):
        (tree / empty).mkdir(exist_ok=True)
    run_tool(("/sbin/ldconfig", "-X", "-r", str(tree)), hint="apt-get install libc-bin")
    _compile_python(tree)


def _compile_python(tree: Path) -> None:
    """Compile the guest's Python once here, rather than at each import under emulation."""
    python = max((tree / "usr/bin").glob("python3.*[0-9]"))
    environ = environment(PYTHONHOME=str(tree / "usr"), PYTHONDONTWRITEBYTECODE="")
    workers = str(min(2, os.cpu_count() or 1))
    options = ["-S", "-m", "compileall", "-q", "-j", workers, "-s", str(tree), "-p", "/"]
    libraries = [str(path) for path in (tree / "usr/lib").glob("python3*")]
    run_tool((*loader(tree), str(python), *options, *libraries), hint=GUEST_HINT, env=environ)


def _write(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
