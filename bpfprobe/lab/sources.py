"""Which Debian mirror the machine's own apt is set up with."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bpfprobe.lab.errors import LabUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
RELEASES = frozenset({"bullseye", "bookworm", "trixie", "forky", "duke", "sid"})
ALIASES = frozenset({"oldoldstable", "oldstable", "stable", "testing", "unstable"})
SECURITY_SUFFIX = "-security"
MIRROR_VARIABLE = "BPFPROBE_MIRROR"


@dataclass(frozen=True, slots=True)
class Source:
    """One archive in an apt source list."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Mirrors:
    """Where Debian's packages and their security updates come from."""

    main: str
    security: str | None

    def entries(self, suites: Iterable[str]) -> str:
        """The text of a source list for ``suites``, in the one-line format."""
        lines = []
        for suite in suites:
            uri = self.security if suite.endswith(SECURITY_SUFFIX) else self.main
            if uri is not None:
                # Suites that are no longer updated keep signatures whose dates have passed.
                options = f"signed-by={KEYRING} check-valid-until=no"
                lines.append(f"deb [{options}] {uri} {suite} main\n")
        return "".join(lines)


def parse_one_line(text: str) -> list[Source]:
    """Read a source list in apt's one-line format (sources.list)."""
    found = []
    for line in text.splitlines():
        words = line.split("#", 1)[0].replace("[", " [ ").replace("]", " ] ").split()
        if not words or words[0] != "deb":
            continue
        rest = words[1:]
        if rest and rest[0] == "[" and "]" in rest:
            rest = rest[rest.index("]") + 1 :]
        if len(rest) >= 2:
            found.append(Source(rest[0], (rest[1],), tuple(rest[2:])))
    return found


def parse_deb822(text: str) -> list[Source]:
    """Read a source list in apt's deb822 format (*.sources)."""
    found = []
    for fields in _stanzas(text):
        enabled = fields.get("enabled", "yes").lower() not in ("no", "false", "off", "0")
        if enabled and "deb" in fields.get("types", "").split():
            suites = tuple(fields.get("suites", "").split())
            components = tuple(fields.get("components", "").split())
            found += [Source(u, suites, components) for u in fields.get("uris", "").split()]
    return found


def _stanzas(text: str) -> list[dict[str, str]]:
    stanzas: list[dict[str, str]] = [{}]
    name = ""
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        if not line.strip():
            stanzas.append({})
        elif line[0].isspace():
            stanzas[-1][name] = f"{stanzas[-1].get(name, '')} {line.strip()}"
        elif ":" in line:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            stanzas[-1][name] = value.strip()
    return stanzas


def choose_mirrors(sources: Iterable[Source]) -> Mirrors | None:
    """The first Debian archive among ``sources``, and the first of its security updates."""
    main = security = None
    for source in sources:
        if "main" not in source.components:
            continue
        for suite in source.suites:
            if suite.endswith((SECURITY_SUFFIX, "/updates")):
                security = security or source.uri
            elif suite.split("-")[0] in RELEASES | ALIASES and _is_debian_suite(suite):
                main = main or source.uri
    return Mirrors(main, security) if main else None


def _is_debian_suite(suite: str) -> bool:
    _, _, pocket = suite.partition("-")
    return pocket in ("", "updates", "backports", "proposed-updates")


def read_mirrors(etc_apt: Path, override: str | None) -> Mirrors:
    """The mirrors of this machine, or the one that $BPFPROBE_MIRROR names."""
    if override:
        return Mirrors(override, None)
    found: list[Source] = []
    listed = etc_apt / "sources.list.d"
    for path in [
        *sorted(listed.glob("*.sources")),
        etc_apt / "sources.list",
        *sorted(listed.glob("*.list")),
    ]:
        try:
            text = path.read_text(errors="replace")
        except FileNotFoundError:
            continue
        except OSError as error:
            raise LabUnavailable(
                f"the apt source list {shlex.quote(str(path))} cannot be read: {error.strerror}",
                hint=f"set {MIRROR_VARIABLE} to the URI of a Debian mirror",
            ) from error
        found += parse_deb822(text) if path.suffix == ".sources" else parse_one_line(text)
    mirrors = choose_mirrors(found)
    if mirrors is None:
        raise LabUnavailable(
            f"no Debian mirror is set up in {etc_apt}",
            hint=f"the lab fetches its guest from one: set {MIRROR_VARIABLE} to its URI",
        )
    return mirrors
