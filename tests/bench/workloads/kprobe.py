"""The same events as those of `stream`, from a kprobe.

Where this kernel has no kprobes it runs in a guest, where times are those of an emulated processor:
only their order means something there, so that no goal is set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bench.figure import Figure
from tests.bench.workload import Workload
from tests.bench.workloads.stream import traced_by

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import ExitStack

    from tests.bench.setting import Setting
    from tests.bench.workload import Turn

EVENTS, BCC_EVENTS = 20_011, 10_007


def contestants(setting: Setting, stack: ExitStack) -> Mapping[str, Turn]:
    return traced_by(setting, "kprobe", EVENTS, BCC_EVENTS)


KPROBE = Workload(
    name="kprobe",
    title="the same events from a kprobe",
    units={"hit": "ns", "rate": "M/s", "lost": "events"},
    contestants=contestants,
    figures=(
        Figure("cost of a hit of a kprobe", "hit", "bpfprobe", "bcc", base="untraced"),
        Figure(
            "cost of a hit of a kprobe over that of an empty program",
            *("hit", "bpfprobe", "bcc, best"),
            base="bcc, empty",
        ),
        Figure(
            "events of a kprobe a second to a Python callback, none lost",
            *("rate", "bpfprobe", "bcc"),
            more=True,
        ),
    ),
    kprobes=True,
)
