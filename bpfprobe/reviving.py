"""A start that was kept, as it must be now: or not at all."""

from __future__ import annotations

from bpfprobe.model.noun import replace
from bpfprobe.model.premise import PremiseKind
from bpfprobe.model.site import UserSite, UserSites
from bpfprobe.target.premises import file_in_process, holds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from bpfprobe.model.object import Object, ProbeWiring, Wiring
    from bpfprobe.model.site import Site
    from bpfprobe.store.start import Start


def revived(
    start: Start, pids: Sequence[int | None], values: tuple[tuple[str, int], ...]
) -> Object | None:
    """The object with the processes of now (``pids`` of each probe), and the values of options.

    None where something it was made from is no more as it was, or a value is part of its code.
    """
    wiring = start.object.wiring
    handed = dict(wiring.option_offsets)
    if start.constants != tuple((name, value) for name, value in values if name not in handed):
        return None
    paths: dict[int, str] = {}
    for premise in start.premises:
        if premise.kind is not PremiseKind.PROCESS_FILE:
            if not holds(premise):
                return None
            continue
        pid = pids[premise.probe]
        path = None if pid is None else file_in_process(premise, pid)
        if path is None:
            return None
        paths[premise.probe] = path
    probes = tuple(
        in_process(probe, paths[index], pids[index]) if index in paths else probe
        for index, probe in enumerate(wiring.probes)
    )
    wiring = replace(_with_values(wiring, dict(values)), probes=probes)
    return replace(start.object, wiring=wiring)


def in_process(probe: ProbeWiring, path: str, pid: int | None) -> ProbeWiring:
    """The same places in a file that is reached by another path, and in another process."""
    return replace(
        probe,
        site=_moved(probe.site, path, pid),
        entry_site=probe.entry_site and _moved(probe.entry_site, path, pid),
        more=tuple((program, _moved(site, path, pid)) for program, site in probe.more),
    )


def _moved(site: Site, path: str, pid: int | None) -> Site:
    if isinstance(site, UserSite | UserSites):
        return replace(site, path=path, pid=pid)
    return site


def _with_values(wiring: Wiring, values: dict[str, int]) -> Wiring:
    """With the options' values in the place where programs read them."""
    maps = list(wiring.maps)
    block = bytearray(maps[wiring.parameter_map].initial)
    for name, offset in wiring.option_offsets:
        if name in values:
            block[offset : offset + 8] = values[name].to_bytes(8, "little")
    maps[wiring.parameter_map] = replace(maps[wiring.parameter_map], initial=bytes(block))
    return replace(wiring, maps=tuple(maps))
