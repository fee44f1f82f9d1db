"""What of this machine's settings a Debian set up inside it needs, to fetch what this one can."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bpfprobe.lab.sources import MIRROR_VARIABLE, Mirrors, read_mirrors

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Proxies, certificates, pip's options and the mirror of the lab.
PASSED_ON = re.compile(
    r"PIP_\w+|\w+_(proxy|PROXY)|SSL_CERT_(FILE|DIR)|(REQUESTS|CURL)_CA_BUNDLE|GIT_SSL_CAINFO"
    rf"|{MIRROR_VARIABLE}"
)
FILES = (
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/pip.conf",
    "/etc/xdg/pip",
    "/etc/apt/auth.conf",
    "/etc/apt/auth.conf.d",
    "/usr/local/share/ca-certificates",
)
# How apt fetches, but not which indexes, which are those of another release.
ACQUIRE = re.compile(r"^Acquire::(?!IndexTargets|Changelogs|Languages)\S.*;$", re.MULTILINE)
ABSOLUTE = re.compile(r"(?<![\w:/])(?:file://)?(/[^\s'\",;]+)")


@dataclass(frozen=True)
class Settings:
    """How this machine reaches packages of Debian and of Python's index."""

    mirrors: Mirrors
    apt: str
    environ: Mapping[str, str]
    files: tuple[Path, ...]  # copied to the same path
    folders: tuple[Path, ...]  # bound, read-only, to the same path

    @classmethod
    def of_this_machine(cls) -> Settings:
        environ = {name: value for name, value in os.environ.items() if PASSED_ON.fullmatch(name)}
        pip = (sys.executable, "-m", "pip", "config", "list", "--disable-pip-version-check")
        named = [*existing_paths([*environ.values(), *_output(*pip).splitlines()])]
        return cls(
            mirrors=read_mirrors(Path("/etc/apt"), os.environ.get(MIRROR_VARIABLE)),
            apt="".join(f"{line}\n" for line in ACQUIRE.findall(_output("apt-config", "dump"))),
            environ=environ,
            files=(
                *(Path(name) for name in FILES if Path(name).exists()),
                *(path for path in named if path.is_file()),
            ),
            # Debian's own folder of certificates is made from those in FILES.
            folders=tuple(p for p in named if p.is_dir() and p != Path("/etc/ssl/certs")),
        )


def existing_paths(texts: Iterable[str]) -> dict[Path, None]:
    """Return the absolute paths that options name and that are there, each once."""
    paths = (Path(path) for text in texts for path in ABSOLUTE.findall(text))
    return {path: None for path in paths if path.exists()}


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
