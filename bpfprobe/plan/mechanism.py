"""How a place is reached: kprobe, uprobe or tracepoint."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bpfprobe.model.bound import SyscallSites
from bpfprobe.model.plan import Choice
from bpfprobe.model.site import KernelSite, TracepointSite, UserSite
from bpfprobe.model.spec import KernelPoint

if TYPE_CHECKING:
    from bpfprobe.model.bound import Bound
    from bpfprobe.model.machine import MachineFacts
    from bpfprobe.model.site import Site
    from bpfprobe.model.spec import Point

_LAB = "`bpfprobe lab -- COMMAND` runs a command in a kernel that has them"


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
    if isinstance(site, UserSite):
        because = "a function of a program is reached through a perf event of the uprobe PMU"
        if site.ref_ctr_offset:
            because += ", which counts up the marker's semaphore in each process and down again"
        obstacle, way_out = "", ""
        if facts.uprobe_pmu.present is False:
            obstacle = f"this kernel has no uprobes ({facts.uprobe_pmu.evidence})"
            way_out = _LAB
        choice = Choice("uprobe", because, obstacle=obstacle, way_out=way_out)
        entry_site = replace(site, returns=False)
        return choice, site, entry_site if bound.returns else None
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


def _kprobe(because: str, facts: MachineFacts, turned_down: tuple[str, ...] = ()) -> Choice:
    obstacle, way_out = "", ""
    if facts.kprobes.present is False:
        obstacle = f"this kernel has no kprobes ({facts.kprobes.evidence})"
        way_out = _LAB
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
