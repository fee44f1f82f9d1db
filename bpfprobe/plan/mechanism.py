"""How a place is reached: kprobe, uprobe or tracepoint."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bpfprobe.model.bound import SyscallSites
from bpfprobe.model.noun import replace
from bpfprobe.model.plan import UPROBE, UPROBE_MULTI, Choice
from bpfprobe.model.site import KernelSite, TracepointSite, UserSite, UserSites
from bpfprobe.model.spec import KernelPoint

if TYPE_CHECKING:
    from bpfprobe.model.bound import Bound
    from bpfprobe.model.machine import MachineFacts
    from bpfprobe.model.site import Site
    from bpfprobe.model.spec import Point

_MULTI_PID_WORKS = (6, 10)
"""Before (commit 46ba0e49b642) a link with a pid ran its program for the main thread alone."""

_LAB = "`bpfprobe lab -- COMMAND` runs a command in a kernel that has them"


def more_places(bound: Bound, facts: MachineFacts) -> tuple[tuple[Site, Site | None], ...]:
    """Return the further sites of a probe, each with that of the entry for a return probe."""
    return tuple(
        _syscall(site, bound.returns, facts)[1:] if isinstance(site, SyscallSites) else (site, None)
        for site in bound.more_sites
    )


def choose_mechanism(bound: Bound, facts: MachineFacts) -> tuple[Choice, Site, Site | None]:
    """The mechanism, its site, and for a return probe the site of the entry."""
    site = bound.site
    if isinstance(site, SyscallSites):
        return _syscall(site, bound.returns, facts)
    if isinstance(site, KernelSite):
        because = "a kernel function is reached through a perf event of the kprobe PMU, which goes "
        because += "away with the process that opened it"
        choice = _kprobe(because, facts, _maxactive(bound.spec.point))
        entry = KernelSite(site.function, 0, False, site.module, site.address)
        return choice, site, entry if bound.returns else None
    if isinstance(site, UserSite | UserSites):
        return _user(site, facts), site, replace(site, returns=False) if bound.returns else None
    return Choice("tracepoint", "a tracepoint is attached to by its id"), site, None


def _maxactive(point: Point) -> tuple[str, ...]:
    """What becomes of a maxactive that was asked for."""
    if not isinstance(point, KernelPoint) or not point.maxactive:
        return ()
    return (
        f"r{point.maxactive}: only tracefs takes the number of calls, and a probe made there stays "
        "when its tracer is killed; the kernel follows as many as it thinks right, and counts "
        "those that it missed",
    )


def _user(site: UserSite | UserSites, facts: MachineFacts) -> Choice:
    """A link of its own kind where the kernel has it: it comes and goes faster than perf events."""
    obstacle, way_out, down = "", "", ""
    if facts.uprobe_pmu.present is False:
        obstacle = f"this kernel has no uprobes ({facts.uprobe_pmu.evidence})"
        way_out = _LAB
    if facts.uprobe_multi.present is not True:
        down = f"uprobe.multi, a link of its own: {facts.uprobe_multi.evidence} (Linux 6.6)"
    elif site.pid is not None and _release(facts) < _MULTI_PID_WORKS:
        down = "uprobe.multi, a link of its own: before Linux 6.10 it sees one thread of a process"
    places = "the place"
    if isinstance(site, UserSites):
        places = f"each of the {len(site.offsets)} functions"
    elif site.ref_ctr_offset:
        places = "the place, and the marker's semaphore is counted up in each process"
    if not down:
        because = f"one link takes the program to {places}"
        return Choice(UPROBE_MULTI, because, obstacle=obstacle, way_out=way_out)
    because = f"a perf event of the uprobe PMU takes the program to {places}"
    return Choice(UPROBE, because, (down,), obstacle, way_out)


def _release(facts: MachineFacts) -> tuple[int, ...]:
    numbers = re.match(r"(\d+)\.(\d+)", facts.release)
    return tuple(int(number) for number in numbers.groups()) if numbers else (0, 0)


def _kprobe(because: str, facts: MachineFacts, turned_down: tuple[str, ...] = ()) -> Choice:
    obstacle, way_out = "", ""
    if facts.kprobes.present is False:
        way_out = facts.kprobes.way_out or _LAB
        state = "this kernel has no kprobes" if way_out == _LAB else "kprobes are switched off"
        obstacle = f"{state} ({facts.kprobes.evidence})"
    elif facts.kprobe_pmu.present is False:
        obstacle = f"the kprobe PMU is missing ({facts.kprobe_pmu.evidence})"
        way_out = "it needs Linux 4.17 and a /sys that shows /sys/bus/event_source"
    return Choice("kprobe", because, turned_down, obstacle, way_out)


def _syscall(
    site: SyscallSites, returns: bool, facts: MachineFacts
) -> tuple[Choice, Site, Site | None]:
    works = facts.kprobes.present is not False and facts.kprobe_pmu.present is not False
    if site.wrapper and (works or site.enter is None):
        reason = "a kprobe on the one function that serves the call leaves all others alone"
        down = (
            "tracepoint: while one system-call tracepoint is on, every call of every process pays"
        )
        choice = _kprobe(reason, facts, (down,))
        entry = KernelSite(site.wrapper)
        if not returns:
            return choice, entry, None
        return choice, KernelSite(site.wrapper, returns=True), entry
    assert site.enter is not None
    assert site.exit is not None
    down = "kprobe: " + (
        facts.kprobes.evidence if site.wrapper else "the kernel has no function of its own for it"
    )
    choice = Choice("tracepoint", "the system-call tracepoints are what this kernel has", (down,))
    enter = TracepointSite("syscalls", site.enter.name, site.enter.event_id)
    if not returns:
        return choice, enter, None
    return choice, TracepointSite("syscalls", site.exit.name, site.exit.event_id), enter
