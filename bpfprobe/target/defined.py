"""The control files of dynamic events and of kprobes, read: text in, nouns out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bpfprobe.model.defined import DefinedEvent, RegisteredKprobe
from bpfprobe.model.noun import replace
from bpfprobe.model.regex import regex

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_HEAD = regex(r"(?P<kind>[prftes])(?P<maxactive>\d*):(?P<group>[^/\s]+)/(?P<name>\S+)")
_STATE = regex(r"\[(GONE|DISABLED|OPTIMIZED|FTRACE)\]")
_KPROBE = regex(
    r"(?P<address>[0-9a-f]+)\s+(?P<kind>[a-z])\s+(?P<place>\S+)(?P<rest>.*)", re.IGNORECASE
)

_ENDBR_BYTES = 4


def read_definitions(file: str, text: str) -> Iterator[DefinedEvent]:
    """The events that a control file lists, a line each; other lines are passed over."""
    for line in text.splitlines():
        head, _, rest = line.partition(" ")
        found = _HEAD.fullmatch(head)
        if found is None:
            continue
        place, _, arguments = ("", "", rest) if found["kind"] == "s" else rest.partition(" ")
        yield DefinedEvent(
            file,
            line,
            found["kind"],
            int(found["maxactive"] or 0),
            found["group"],
            found["name"],
            place,
            arguments.strip(),
        )


def read_kprobes(text: str) -> Iterator[RegisteredKprobe]:
    """``kprobes/list``: address, k or r, place, module, states (kernel/kprobes.c, report_probe)."""
    for line in text.splitlines():
        if found := _KPROBE.fullmatch(line.strip()):
            states = tuple(_STATE.findall(found["rest"]))
            module = _STATE.sub("", found["rest"]).strip().strip("[]")
            returns = found["kind"] == "r"
            yield RegisteredKprobe(
                int(found["address"], 16), returns, found["place"], module, states
            )


def read_kprobe_profile(text: str) -> Iterator[tuple[str, int, int]]:
    """``kprobe_profile``: (event without its group, hits, misses)."""
    for line in text.splitlines():
        words = line.split()
        if len(words) == 3 and words[1].isdecimal() and words[2].isdecimal():
            yield words[0], int(words[1]), int(words[2])


def read_uprobe_profile(text: str) -> Iterator[tuple[str, int]]:
    """``uprobe_profile``: (event without its group, hits)."""
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 3 and words[-1].isdecimal():
            yield words[-2], int(words[-1])


def with_counts(
    events: Iterable[DefinedEvent], kprobe_profile: str, uprobe_profile: str
) -> Iterator[DefinedEvent]:
    """The events with their hits and misses.

    The profiles have no groups; they list events in the order of the definitions, so the first of a
    name is the first there (trace_kprobe.c, probes_profile_seq_show).
    """
    kernel = list(read_kprobe_profile(kprobe_profile))
    user = list(read_uprobe_profile(uprobe_profile))
    for event in events:
        if event.file == "kprobe_events":
            at = next((n for n, row in enumerate(kernel) if row[0] == event.name), None)
            if at is not None:
                _, hits, misses = kernel.pop(at)
                event = replace(event, hits=hits, misses=misses)
        elif event.file == "uprobe_events":
            at = next((n for n, row in enumerate(user) if row[0] == event.name), None)
            if at is not None:
                event = replace(event, hits=user.pop(at)[1])
        yield event


def with_states(
    events: Sequence[DefinedEvent], registered: Sequence[RegisteredKprobe]
) -> tuple[list[DefinedEvent], list[RegisteredKprobe]]:
    """The events with the states of their kprobes, and the kprobes that belong to no event.

    Where several probes have one place, those that are not disabled go to events that are enabled.
    """
    left = list(registered)
    found: dict[int, tuple[str, ...]] = {}
    order = sorted(range(len(events)), key=lambda n: events[n].enabled is not True)
    for number in order:
        event = events[number]
        if event.file != "kprobe_events":
            continue
        fits = [probe for probe in left if _is_of(probe, event)]
        fits.sort(key=lambda probe: ("DISABLED" in probe.states) == (event.enabled is True))
        if fits:
            left.remove(fits[0])
            found[number] = fits[0].states
    return [replace(e, states=found.get(n)) for n, e in enumerate(events)], left


def _is_of(probe: RegisteredKprobe, event: DefinedEvent) -> bool:
    if probe.returns is not (event.kind == "r"):
        return False
    place = event.place.rpartition(":")[2]
    symbol, _, offset = place.partition("+")
    if re.fullmatch(r"0x[0-9a-f]+", symbol):
        return probe.address == int(symbol, 16)
    offsets = {int(offset or "0", 0)}
    # Since v5.18 (cc66bb914578, "x86/ibt,kprobes: Cure sym+0 equals fentry woes") a probe on the
    # start of a function goes behind the endbr64 there.
    offsets |= {_ENDBR_BYTES} if offsets == {0} else set()
    return probe.place in [f"{symbol}+{at:#x}" for at in offsets]
