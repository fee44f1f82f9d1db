from __future__ import annotations

import dataclasses
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

import bpfprobe as bp
from bpfprobe.model.options import Options
from bpfprobe.store import starts

if TYPE_CHECKING:
    from pathlib import Path

READS = bp.kprobe("vfs_read", n="count")
WRITES = bp.kprobe("vfs_write", n="count")


def name(*probes: bp.Probe, boot: str = "b", **options: Any) -> str | None:
    descriptions = [probe.description for probe in probes]
    return starts.start_name(descriptions, Options(**options), boot)


@pytest.mark.usefixtures("place")
def test_what_makes_a_difference() -> None:
    names = [
        name(READS),
        name(WRITES),
        name(READS, WRITES),
        name(WRITES, READS),
        name(READS, READS),
        name(READS, boot="c"),
        name(READS, pid=7),
        name(READS, not_pid=7),
        name(READS, tid=7),
        name(READS, uid=7),
        name(READS, pid=7, uid=7),
        name(READS, transport="perf"),
        name(READS, buffer_bytes=1 << 16),
        name(READS, inflight=64),
        name(bp.probe("kprobe:vfs_read n=count")),
        name(bp.probe("kprobe:vfs_read n=count").of_process(7)),
        name(bp.kprobe("vfs_read", n="count", filter="n > 7")),
    ]
    assert None not in names
    assert len(set(names)) == len(names)


@pytest.mark.usefixtures("place")
def test_what_makes_none() -> None:
    assert name(READS, pid=7) == name(READS, pid=8)
    assert name(READS, uid=0) == name(READS, uid=8)
    assert name(READS, latency_s=1.0) == name(READS)
    assert name(READS, ordered=True, window_s=1.0) == name(READS)
    here = bp.uprobe("bash", "readline", pid=7), bp.uprobe("bash", "readline", pid=8)
    assert name(here[0]) == name(here[1])


@pytest.mark.usefixtures("place")
def test_each_option_is_thought_of() -> None:
    """An option that is added makes a difference until it is said that it does not."""
    assert {field.name for field in dataclasses.fields(Options)} == set(Options.__slots__)
    assert set(starts._FILTERS) | set(starts._FOR_READERS) <= set(Options.__slots__)


def test_where_nothing_can_be_kept(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert name(READS) is not None
    assert name(READS, boot="") is None
    odd = replace(READS.description, place=b"vfs_read")  # type: ignore[arg-type]
    assert starts.start_name([odd], Options(), "b") is None
    with monkeypatch.context() as changed:
        changed.setattr(starts, "fingerprint", lambda: None)
        assert name(READS) is None
    monkeypatch.setenv("BPFPROBE_CACHE", "off")
    assert name(READS) is None
    assert not place.exists()


@pytest.mark.usefixtures("place")
def test_another_build_makes_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    before = name(READS)
    monkeypatch.setattr(starts, "fingerprint", lambda: b"edited")
    assert name(READS) != before


def test_the_values_of_options() -> None:
    values = starts.option_values(Options(not_pid=0, pid=7, buffer_bytes=5))
    assert values == (("pid", 7), ("not_pid", 0))
