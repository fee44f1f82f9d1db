"""The matrix of kernels: what is wanted, and which of what is offered comes nearest."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

from bpfprobe.lab.errors import LabUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable

NEWEST = "newest"
IMAGE_NAME = re.compile(r"^linux-image-(\d+\.\d+\.\d+\S*-cloud-amd64)$")


@dataclass(frozen=True, slots=True)
class WantedKernel:
    """One row of the matrix."""

    series: str
    suites: tuple[str, ...]
    tested: str
    newest: bool
    missing: tuple[str, ...]


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
    def series(self) -> tuple[str, ...]:
        """Every series, oldest first."""
        return tuple(kernel.series for kernel in self.kernels)

    def find(self, name: str | None) -> WantedKernel:
        """The kernel that ``name`` means: a series, ``newest``, or None for the default."""
        if name == NEWEST:
            return self.kernels[-1]
        for kernel in self.kernels:
            if kernel.series == (name or self.default):
                return kernel
        raise LabUnavailable(
            f"the lab has no kernel {name!r}",
            hint=f"choose one of {', '.join(self.series)} or {NEWEST}",
        )

    def tested(self, *, everything: bool) -> tuple[str, ...]:
        """The series that guest tests run on: all of them, or those tested always."""
        return tuple(k.series for k in self.kernels if everything or k.tested == "always")


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


def choose(wanted: WantedKernel, releases: Iterable[str]) -> str | None:
    """The newest release of the wanted series, else the nearest there is, else None."""
    ordered = sorted(releases, key=release_key)
    if not ordered:
        return None
    if wanted.newest:
        return ordered[-1]
    goal = tuple(int(number) for number in wanted.series.split("."))
    nearest = min({release_key(r)[:2] for r in ordered}, key=lambda s: _distance(s, goal))
    return [r for r in ordered if release_key(r)[:2] == nearest][-1]


def _distance(series: tuple[int, ...], goal: tuple[int, ...]) -> tuple[int, int, bool]:
    """How far a series is from the wanted one; a newer one wins a tie."""
    newer = series >= goal
    if series[0] == goal[0]:
        return 0, abs(series[1] - goal[1]), not newer
    # In a later major version the first minor is the nearest, in an earlier one the last.
    return abs(series[0] - goal[0]), series[1] if newer else -series[1], not newer


def _wanted(row: dict[str, Any]) -> WantedKernel:
    tested = str(row["tested"])
    if tested not in ("always", "ci"):
        raise ValueError(f"kernels.toml: tested must be 'always' or 'ci', not {tested!r}")
    return WantedKernel(
        series=str(row["series"]),
        suites=tuple(row["suites"]),
        tested=tested,
        newest=bool(row.get("newest", False)),
        missing=tuple(row["missing"]),
    )
