"""The matrix of kernels: what is wanted, and which of what is offered that is."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

NEWEST = "newest"
IMAGE_NAME = re.compile(r"^linux-image-(\d+\.\d+\.\d+\S*-cloud-amd64)$")


@dataclass(frozen=True, slots=True)
class Verified:
    """The release on which all guest tests passed last."""

    release: str
    on: date


@dataclass(frozen=True, slots=True)
class WantedKernel:
    """One row of the matrix: a series, or the newest there is."""

    name: str
    suites: tuple[str, ...]
    tested: str
    verified: Verified | None
    missing: tuple[str, ...]

    def takes(self, release: str) -> bool:
        """Return whether a release is one of this row."""
        return self.name in (NEWEST, series_of(release))

    def vouches_for(self, release: str) -> bool:
        """Return whether the tests have passed on the series of a release."""
        return self.verified is None or series_of(self.verified.release) == series_of(release)

    def caveat(self, release: str) -> str | None:
        """Return what to say of a release that the tests have not passed on."""
        if self.verified is None or self.vouches_for(release):
            return None
        last = f"the last that was is {self.verified.release}, on {self.verified.on}"
        return f"{self.name} is {release}, which has not been tested: {last}"


@dataclass(frozen=True, slots=True)
class Userland:
    """What the guest runs besides its kernel."""

    suites: tuple[str, ...]
    default: str
    packages: tuple[str, ...]
    modules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HostTools:
    """The programs that the host needs, and since when its emulator is safe with threads."""

    suites: tuple[str, ...]
    packages: tuple[str, ...]
    emulator_packages: tuple[str, ...]
    safe_version: int


@dataclass(frozen=True, slots=True)
class Matrix:
    """All of kernels.toml."""

    default: str
    kernels: tuple[WantedKernel, ...]
    userland: Userland
    tools: HostTools

    @property
    def suites(self) -> tuple[str, ...]:
        """Every suite that anything is fetched from, each once."""
        named = [suite for kernel in self.kernels for suite in kernel.suites]
        return tuple(dict.fromkeys([*named, *self.tools.suites]))

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each row, oldest first."""
        return tuple(kernel.name for kernel in self.kernels)

    @property
    def newest(self) -> WantedKernel:
        """The row that moves with Debian."""
        return self.kernels[-1]

    def find(self, name: str | None) -> WantedKernel | None:
        """Return the row of that name, or of the default."""
        return next((k for k in self.kernels if k.name == (name or self.default)), None)

    def may_be_newest(self, version: str) -> bool:
        """Return whether a version is later than every series of the matrix."""
        fixed = [release_key(name) for name in self.names if name != NEWEST]
        return is_version(version) and release_key(version)[:2] > max(fixed)

    def tested(self, *, everything: bool) -> tuple[str, ...]:
        """Return the rows that guest tests run on: all of them, or those tested always."""
        return tuple(k.name for k in self.kernels if everything or k.tested == "always")


def read_matrix(text: str) -> Matrix:
    """Read the text of kernels.toml."""
    table = tomllib.loads(text)
    return Matrix(
        default=str(table["default"]),
        kernels=tuple(_wanted(row) for row in table["kernel"]),
        userland=Userland(
            suites=tuple(table["userland"]["suites"]),
            default=str(table["userland"]["default"]),
            packages=tuple(table["userland"]["packages"]),
            modules=tuple(table["userland"]["modules"]),
        ),
        tools=HostTools(
            suites=tuple(table["tools"]["suites"]),
            packages=tuple(table["tools"]["packages"]),
            emulator_packages=tuple(table["emulator"]["packages"]),
            safe_version=int(table["emulator"]["safe_version"]),
        ),
    )


def load_matrix() -> Matrix:
    """The matrix that ships with this package."""
    return read_matrix(resources.files("bpfprobe.lab").joinpath("kernels.toml").read_text())


def releases_in(package_names: Iterable[str]) -> list[str]:
    """The kernel releases among package names, such as ``6.1.0-56-cloud-amd64``, oldest first."""
    found = (IMAGE_NAME.match(name) for name in package_names)
    return sorted({match[1] for match in found if match}, key=release_key)


def release_key(release: str) -> tuple[int, ...]:
    """Orders kernel releases by age: every number in the name, left to right."""
    return tuple(int(number) for number in re.findall(r"\d+", release.removesuffix("-cloud-amd64")))


def series_of(release: str) -> str:
    """``6.12`` for ``6.12.117+deb13-cloud-amd64``."""
    major, minor = release_key(release)[:2]
    return f"{major}.{minor}"


def is_version(name: str) -> bool:
    """Return whether a name begins as a kernel's release does."""
    return re.match(r"\d+\.\d+(?:[.+-]|$)", name) is not None


def is_release_of(version: str, release: str) -> bool:
    """Return whether ``7.3``, ``7.3.4`` or the whole name means ``7.3.4+deb14-cloud-amd64``."""
    if not is_version(version) or not release.startswith(version):
        return False
    return release[len(version) : len(version) + 1] in ("", ".", "+", "-")


def choose(wanted: WantedKernel, releases: Iterable[str]) -> str | None:
    """Return the newest release of the wanted row, or None where there is none."""
    return max(filter(wanted.takes, releases), key=release_key, default=None)


def _wanted(row: dict[str, Any]) -> WantedKernel:
    tested = str(row["tested"])
    if tested not in ("always", "ci"):
        raise ValueError(f"kernels.toml: tested must be 'always' or 'ci', not {tested!r}")
    verified = row.get("verified")
    return WantedKernel(
        name=str(row["name"]),
        suites=tuple(row["suites"]),
        tested=tested,
        verified=Verified(verified["release"], verified["date"]) if verified else None,
        missing=tuple(row["missing"]),
    )
