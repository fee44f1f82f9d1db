"""Debian's packages through apt, with lists, state and cache of the lab's own.

The system's apt is read (for its mirror, proxies and keys) and never written.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bpfprobe.lab.errors import LabUnavailable
from bpfprobe.lab.process import environment, run_tool
from bpfprobe.lab.sources import KEYRING, Mirrors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

ARCHITECTURE = "amd64"
NEEDS_APT = "the lab needs Debian's apt and dpkg, and a mirror that apt can reach"
NEEDS_NETWORK = "the lab fetches Debian packages at its first use: check that apt-get update works"


@dataclass(frozen=True, slots=True)
class Apt:
    """A private apt that sees the given suites only."""

    root: Path
    mirrors: Mirrors
    suites: tuple[str, ...]

    def view(self, suites: Sequence[str]) -> Apt:
        """The same apt, seeing other suites of those that were updated."""
        return Apt(self.root, self.mirrors, tuple(suites))

    def update(self) -> list[str]:
        """Fetch the package lists, and return the suites that the mirror no longer has."""
        if not KEYRING.exists():
            raise LabUnavailable(
                f"Debian's archive keys {KEYRING} are missing",
                hint="apt-get install debian-archive-keyring",
            )
        # apt's default is to warn about a suite that could not be fetched, and to end well.
        strict = ("apt-get", "-q", "-o", "APT::Update::Error-Mode=any", "update")
        try:
            self._run(*strict)
        except LabUnavailable:
            reachable = [suite for suite in self.suites if self.view((suite,))._has(strict)]
            if not reachable:
                raise
            return [suite for suite in self.suites if suite not in reachable]
        return []

    def _has(self, update: Sequence[str]) -> bool:
        if not self.mirrors.entries(self.suites):
            return False
        try:
            self._run(*update)
        except LabUnavailable:
            return False
        return True

    def names(self, pattern: str) -> list[str]:
        """Names of packages that match a regular expression."""
        output = self._run("apt-cache", "search", "--names-only", pattern)
        return [line.split(" ", 1)[0] for line in output.decode().splitlines()]

    def dependencies(self, package: str, pattern: str) -> list[str]:
        """Those direct dependencies of a package whose names match ``pattern``."""
        output = self._run("apt-cache", "depends", "--important", package).decode()
        named = re.findall(r"^\s*\|?(?:Pre)?Depends: (\S+)$", output, re.MULTILINE)
        return [name for name in named if re.search(pattern, name)]

    def select(self, packages: Sequence[str], *, with_dependencies: bool) -> Selection:
        """The package files that the named packages come to, not yet fetched."""
        options: tuple[str, ...] = ("download",)
        if with_dependencies:
            options = ("-y", "--no-install-recommends", "install")
        # apt does not name the files that it has already, so it is shown an empty directory.
        nothing = self.root / "nothing"
        (nothing / "partial").mkdir(parents=True, exist_ok=True)
        unfetched = ("-o", f"Dir::Cache::archives={nothing}", "--print-uris")
        output = self._run("apt-get", "-q", *unfetched, *options, *packages).decode()
        names = re.findall(r"^'[^']*' (\S+\.deb) \d+", output, re.MULTILINE)
        if not names:
            raise LabUnavailable(f"apt names no files for {', '.join(packages)}", hint=NEEDS_APT)
        return Selection(self, (*options, *packages), tuple(sorted(names)))

    def fetch(self, request: Sequence[str]) -> None:
        """Fetch the package files of a selection, which apt checks against the signed lists."""
        only = [] if request[0] == "download" else ["--download-only"]
        self._run("apt-get", "-q", *only, *request, cwd=self.archives)

    @property
    def archives(self) -> Path:
        """Where fetched package files are put."""
        return self.root / "archives"

    def _run(self, program: str, *arguments: str, cwd: Path | None = None) -> bytes:
        environ = environment(APT_CONFIG=str(self._configuration()), LC_ALL="C.UTF-8")
        hint = NEEDS_NETWORK if program == "apt-get" else NEEDS_APT
        return run_tool((program, *arguments), hint=hint, cwd=cwd, env=environ)

    def _configuration(self) -> Path:
        view = re.sub(r"[^a-z0-9+-]", "", "+".join(self.suites))
        directory = self.root / "views" / view
        for path in (self.archives / "partial", self.root / "lists" / "partial", directory):
            path.mkdir(parents=True, exist_ok=True)
        (self.root / "status").touch()
        (directory / "sources.list").write_text(self.mirrors.entries(self.suites))
        path = directory / "apt.conf"
        path.write_text(_settings(self, directory) + _acquire_settings())
        return path


@dataclass(frozen=True, slots=True)
class Selection:
    """Package files that belong together; ``names`` hold the versions, fit for a hash."""

    apt: Apt
    request: tuple[str, ...]
    names: tuple[str, ...]

    def note(self, directory: Path) -> None:
        """Write down beside what was made of the packages which they were."""
        (directory / "packages.txt").write_text("".join(f"{name}\n" for name in self.names))

    @contextlib.contextmanager
    def fetched(self) -> Iterator[list[Path]]:
        """Fetch the files, and keep them for as long as the block lasts."""
        self.apt.fetch(self.request)
        files = [self.apt.archives / name for name in self.names]
        try:
            yield files
        finally:
            for file in files:
                file.unlink(missing_ok=True)


def _settings(apt: Apt, directory: Path) -> str:
    settings = {
        "Dir::Etc::main": "/dev/null",
        "Dir::Etc::parts": "/dev/null",
        "Dir::Etc::sourcelist": str(directory / "sources.list"),
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferences": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "Dir::State": str(apt.root),
        "Dir::State::lists": str(apt.root / "lists"),
        "Dir::State::status": str(apt.root / "status"),
        "Dir::Cache": str(directory),
        "Dir::Cache::srcpkgcache": "",
        "Dir::Cache::archives": str(apt.root / "archives"),
        "APT::Architecture": ARCHITECTURE,
        "APT::Architectures": ARCHITECTURE,
        "APT::Sandbox::User": "",
        "APT::Get::List-Cleanup": "false",
        "Acquire::Languages": "none",
        "Acquire::GzipIndexes": "true",
        "Debug::NoLocking": "true",
    }
    return "".join(f'{name} "{value}";\n' for name, value in settings.items())


def _acquire_settings() -> str:
    """The machine's own proxies, certificates and retries."""
    dump = run_tool(("apt-config", "dump"), hint=NEEDS_APT).decode()
    wanted = re.compile(r"^Acquire::(?:https?|ftp|Retries|ForceIPv)[^\n]*;$", re.MULTILINE)
    return "".join(f"{line}\n" for line in wanted.findall(dump))
