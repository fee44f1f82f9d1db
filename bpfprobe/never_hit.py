"""What a session says of probes that were never hit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.model.notice import Notice
from bpfprobe.model.site import UserSite, UserSites
from bpfprobe.target.never_hit import why_never_hit
from bpfprobe.target.program_kind import program_kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bpfprobe.model.object import ProbeWiring, Wiring
    from bpfprobe.model.options import Options
    from bpfprobe.model.spec import ProbeSpec
    from bpfprobe.probes import Probe

_FILTERS = ("pid", "tid", "uid")


def notices_of_unhit(
    unhit: Sequence[int],
    probes: Sequence[Probe | ProbeSpec],
    wiring: Wiring,
    options: Options,
    opened_ns: int,
    command: str | None,
) -> Iterator[Notice]:
    """Give a notice for each of the probes of those numbers, with the reason where it is known."""
    for index in unhit:
        probe = wiring.probes[index]
        reason = _reason(probe, opened_ns, command)
        judges = [] if reason else _judges(probes[index], probe, options)
        said = f"{probe.layout.name} was never hit"
        if judges:
            said = f"{probe.layout.name} had no hit that {' and '.join(judges)} let through"
        yield Notice("NEVER_HIT", f"{said}: {reason}" if reason else said)


def _reason(probe: ProbeWiring, opened_ns: int, command: str | None) -> str:
    site = probe.site
    if command is not None and isinstance(site, UserSite | UserSites) and site.pid is None:
        kind = program_kind(command)
        if kind is not None and (lacks := kind.lacks(site.path)):
            return lacks
    return why_never_hit(site, opened_ns)


def _judges(asked: Probe | ProbeSpec, probe: ProbeWiring, options: Options) -> list[str]:
    """Return what may have kept hits from being counted, in words."""
    from bpfprobe.pipeline import spec_of  # a probe that was opened from the cache has no spec yet

    judges = ["its filter"] if spec_of(asked).filter is not None else []
    # A place in one process has no hits in others.
    is_of_process = isinstance(probe.site, UserSite | UserSites) and probe.site.pid is not None
    for name in _FILTERS:
        value = getattr(options, name)
        if value is not None and not (name == "pid" and is_of_process):
            judges.append(f"{name} {value}")
    return judges
