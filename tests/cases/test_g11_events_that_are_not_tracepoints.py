"""A synthetic event, or a kprobe event of tracefs, is refused as what it is."""

from __future__ import annotations

import errno

import pytest

from bpfprobe.engine.attach_errors import explain
from bpfprobe.engine.privilege import read_privileges
from bpfprobe.model.site import TracepointSite


@pytest.mark.parametrize(
    ("number", "cause", "way_out"),
    [
        (errno.ENODEV, "it is a synthetic event", "the events that it is made of"),
        (errno.EINVAL, "a kprobe or uprobe event", "bpfprobe list --defined"),
        (errno.EINVAL, "or the event has gone", "bpfprobe list --defined"),
    ],
)
def test_the_cause(number: int, cause: str, way_out: str) -> None:
    site = TracepointSite("synthetic", "wakeup_latency", 1999)
    text = str(explain(site, OSError(number, "x"), read_privileges()))
    assert cause in text
    assert way_out in text
