"""Programs that the lab runs on the host: unpacked packages, with libraries of their own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bpfprobe.lab.cache import fingerprint
from bpfprobe.lab.debs import unpack
from bpfprobe.lab.errors import LabUnavailable
from bpfprobe.lab.process import find_program, run_tool

if TYPE_CHECKING:
    from pathlib import Path

    from bpfprobe.lab.apt import Apt
    from bpfprobe.lab.cache import Cache
    from bpfprobe.lab.kernels import HostTools
    from bpfprobe.lab.progress import Progress

QEMU = "qemu-system-x86_64"
LIBRARIES = "usr/lib/x86_64-linux-gnu"
OLDEST_QEMU = (8, 2)  # the first whose migration reads and writes a plain file
TOOLS_HINT = "run bpfprobe lab --build again"


@dataclass(frozen=True, slots=True)
class Tools:
    """A tree of unpacked programs."""

    root: Path

    def command(self, name: str) -> tuple[str, ...]:
        """How to run a program of the tree on any host: through the tree's own loader."""
        for directory in ("usr/bin", "usr/sbin"):
            program = self.root / directory / name
            if program.exists():
                return (*loader(self.root), str(program))
        raise LabUnavailable(f"the lab's tools hold no {name}", hint=TOOLS_HINT)

    def path(self, name: str) -> Path:
        """A file of the tree."""
        return self.root / name


@dataclass(frozen=True, slots=True)
class Emulator:
    """A QEMU and what is safe with it."""

    command: tuple[str, ...]
    version: str
    threads: bool

    def as_record(self) -> dict[str, object]:
        """The same facts for the cache's records."""
        return {"command": self.command, "version": self.version, "threads": self.threads}


def loader(root: Path) -> tuple[str, ...]:
    """The dynamic loader of a tree, told to take libraries from that tree."""
    libraries = root / LIBRARIES
    paths = [libraries, libraries / "pulseaudio", root / "usr/lib"]
    return (
        str(root / "lib64/ld-linux-x86-64.so.2"),
        "--library-path",
        ":".join(str(path) for path in paths),
    )


def host_qemu(safe_version: int) -> Emulator | None:
    """The machine's own QEMU, or None when there is none that will do."""
    path = find_program(QEMU)
    return probe_qemu((path,), safe_version) if path else None


def packed_qemu(tools: Tools, safe_version: int) -> Emulator | None:
    """The QEMU among the lab's tools, or None when it does not run."""
    return probe_qemu(tools.command(QEMU), safe_version)


def probe_qemu(command: tuple[str, ...], safe_version: int) -> Emulator | None:
    """What a QEMU says of itself, or None when it is too old or does not run."""
    try:
        output = run_tool((*command, "--version"), hint=TOOLS_HINT).decode()
    except LabUnavailable:
        return None
    found = re.search(r"version ((\d+)\.(\d+)[^\n]*)", output)
    if found is None or (int(found[2]), int(found[3])) < OLDEST_QEMU:
        return None
    return Emulator(command, found[1], int(found[2]) >= safe_version)


def fetch_tools(
    cache: Cache, apt: Apt, wish: HostTools, *, with_qemu: bool, progress: Progress
) -> Tools:
    """Fetch and unpack the host's programs with everything that they need."""
    packages = (*wish.packages, *(wish.emulator_packages if with_qemu else ()))
    selection = apt.select(packages, with_dependencies=True)
    target = cache.directory("tools") / fingerprint(selection.names)
    if not target.is_dir():
        with (
            progress.step(f"fetching and unpacking {len(selection.names)} packages of host tools"),
            selection.fetched() as debs,
            cache.building(target) as scratch,
        ):
            unpack(debs, scratch)
            selection.note(scratch)
    return Tools(target)
