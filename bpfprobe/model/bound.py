"""A spec against a target: every name found, every value typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.model.noun import dataclass

if TYPE_CHECKING:
    from bpfprobe.model.machine import MachineFacts, Tracepoint
    from bpfprobe.model.site import Site
    from bpfprobe.model.spec import Capture, ProbeSpec
    from bpfprobe.model.value import Capturable, Condition


@dataclass(frozen=True, slots=True)
class BoundCapture:
    """A capture whose value is known."""

    capture: Capture
    value: Capturable


@dataclass(frozen=True, slots=True)
class SyscallSites:
    """The two ways to reach a system call.

    ``wrapper`` is the kernel function (``__x64_sys_openat``), empty where there is none;
    ``enter`` and ``exit`` are its tracepoints, None where tracefs does not have them.
    """

    wrapper: str
    enter: Tracepoint | None
    exit: Tracepoint | None


@dataclass(frozen=True, slots=True)
class Bound:
    """A probe of which every name has been found.

    ``site`` is the entry (or the only) place; for a system call it is left to the plan.
    ``more_sites`` are further places, each with a program of its own, as values may be elsewhere
    there (`bpfprobe.model.value.ByPlace`). ``notes`` say what could not be checked.
    """

    spec: ProbeSpec
    site: Site | SyscallSites
    returns: bool
    captures: tuple[BoundCapture, ...]
    filter: Condition | None
    more_sites: tuple[Site | SyscallSites, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BoundProbes:
    """All probes of a session, and what their machine is."""

    facts: MachineFacts
    probes: tuple[Bound, ...]
