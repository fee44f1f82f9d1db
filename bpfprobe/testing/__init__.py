"""PUBLIC fakes of the two edges: test a probe with no root, no bcc and no kernel.

`StaticTarget` is a machine written by hand, `RecordedTarget` one that was met before
(`record_target`), `FakeEngine` a compiler and a kernel that pretend; `pack_record` and
`pack_counters` make what that kernel sends and counts.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bpfprobe.testing.fake_engine import FakeEngine as FakeEngine
    from bpfprobe.testing.recorded_target import RecordedTarget as RecordedTarget
    from bpfprobe.testing.recorded_target import RecordingTarget as RecordingTarget
    from bpfprobe.testing.recorded_target import record_target as record_target
    from bpfprobe.testing.records import pack_counters as pack_counters
    from bpfprobe.testing.records import pack_record as pack_record
    from bpfprobe.testing.static_target import StaticTarget as StaticTarget

_HOMES = {
    "FakeEngine": "bpfprobe.testing.fake_engine",
    "RecordedTarget": "bpfprobe.testing.recorded_target",
    "RecordingTarget": "bpfprobe.testing.recorded_target",
    "StaticTarget": "bpfprobe.testing.static_target",
    "pack_counters": "bpfprobe.testing.records",
    "pack_record": "bpfprobe.testing.records",
    "record_target": "bpfprobe.testing.recorded_target",
}


if not TYPE_CHECKING:  # or a checker would believe in any name

    def __getattr__(name: str) -> object:
        """Import a fake when it is first asked for."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_HOMES[name]), name)
