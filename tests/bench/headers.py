"""Kernel headers for bcc, which compiles nothing without them.

Where the running kernel has none, those of the distribution's kernel do for programs that read no
kernel structure. Debian splits them into two packages; merged into one folder, and named by
BCC_KERNEL_SOURCE, they need no link in /lib/modules, so that nothing of the machine changes.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

PACKAGE = "linux-headers-amd64"
TIMEOUT_S = 300


class NoHeaders(Exception):
    """There are no headers to be had; says why."""


def own_headers() -> bool:
    """Whether bcc finds headers of the running kernel without help."""
    build = Path("/lib/modules") / os.uname().release / "build"
    return build.is_dir() or Path("/sys/kernel/kheaders.tar.xz").exists()


def fetch_headers(folder: Path) -> Path:
    """Fetch Debian's headers into ``folder`` without installing them. Raises `NoHeaders`."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise NoHeaders("this kernel has none, and there is no apt to fetch Debian's")
    depends = _run(["apt-cache", "depends", PACKAGE], folder)
    found = re.search(r"Depends: (linux-headers-\S+)-amd64$", depends, re.MULTILINE)
    if found is None:
        raise NoHeaders(f"apt knows no {PACKAGE}: try apt-get update")
    packages = [f"{found[1]}-amd64", f"{found[1]}-common"]
    _run(["apt-get", "-q", "download", *packages], folder)
    for package in sorted(folder.glob("linux-headers-*.deb")):
        _run(["dpkg-deb", "-x", str(package), str(folder / "unpacked")], folder)
    sources = folder / "unpacked" / "usr" / "src"
    merged = sources / packages[1]
    for name in (".config", "include", "arch"):
        part = sources / packages[0] / name
        if part.is_dir():
            shutil.copytree(part, merged / name, symlinks=True, dirs_exist_ok=True)
        else:
            shutil.copy(part, merged / name)
    return merged


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    if done.returncode != 0:
        raise NoHeaders(f"{command[0]} failed: {(done.stderr.strip() or 'it said nothing')}")
    return done.stdout
