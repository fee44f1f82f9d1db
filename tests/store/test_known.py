from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import bpfprobe as bp
from bpfprobe.store import known

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def parsed(place: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What has been parsed, with a cache that is empty."""
    from bpfprobe.parse import builder

    seen: list[Any] = []
    build = builder.build

    def counted(description: Any) -> Any:
        seen.append(description)
        return build(description)

    monkeypatch.setattr(builder, "build", counted)
    return seen


def test_the_same_description_is_parsed_once(parsed: list[Any]) -> None:
    for _ in range(3):
        bp.kprobe("vfs_read", n="count:u64", filter="n > 3")
        bp.probe("p vfs_read n=count if n > 3")
    assert len(parsed) == 2


def test_what_it_says_is_there_when_it_is_asked_for(parsed: list[Any]) -> None:
    bp.kprobe("vfs_read", event="reads", n="count")
    again = bp.kprobe("vfs_read", event="reads", n="count")
    assert len(parsed) == 1
    assert again.name == "reads"
    assert [capture.name for capture in again.spec.captures] == ["n"]
    assert again.spec is again.spec
    assert repr(again) == "<Probe kprobe:vfs_read>"


def test_another_process_is_the_same_description(parsed: list[Any]) -> None:
    probes = [bp.uprobe("bash", "readline", pid=pid) for pid in (7, 8)]
    text = bp.probe("uprobe:bash:readline")
    here = [text.of_process(pid) for pid in (7, 8)]
    assert len(parsed) == 3  # with a process, as text without one, and with
    assert [probe.spec.point.pid for probe in probes + here] == [7, 8, 7, 8]
    assert text.spec.point.pid is None
    assert bp.probe("kprobe:vfs_read").of_process(7).spec == bp.probe("kprobe:vfs_read").spec


DIFFERENT: list[dict[str, Any]] = [
    {},
    {"n": "$arg2"},
    {"m": "$arg1"},
    {"filter": "pid == 1"},
    {"event": "other"},
    {"comm": False},
    {"string_bytes": 100},
    {"captures": {"m": "$arg1"}},
    {"pid": 7},
]


def test_each_difference_counts(parsed: list[Any]) -> None:
    for _ in range(2):
        for given in DIFFERENT:
            bp.uprobe("bash", "readline", **{"n": "$arg1"} | given)
    assert len(parsed) == len(DIFFERENT)


@pytest.mark.parametrize(
    "wrong",
    [
        {"sym": "f", "n": "???"},
        {"sym": "f", "filter": "&& x"},
        {"sym": "f", "pid": -1},
        {"sym": "f", "pid": True},
        {"sym": "f", "n": 7},
        {"sym": "f", "n": b"$arg1"},
        {"sym": "f", "string_bytes": 1},
        {"sym": "f", "string_bytes": 100.0},
        {"sym": "f", "address": 1},
        {"sym": 3},
    ],
)
def test_what_is_wrong_is_told_each_time(parsed: list[Any], wrong: dict[str, Any]) -> None:
    bp.uprobe("bash", "f", n="$arg1", pid=7)
    for _ in range(2):
        with pytest.raises((bp.BpfprobeError, TypeError)):
            bp.uprobe("bash", **{"n": "$arg1"} | wrong)


@pytest.mark.parametrize("again", [False, True])
def test_another_build_parses_again(
    parsed: list[Any], monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    bp.kprobe("vfs_read")
    if again:
        monkeypatch.setattr(known, "fingerprint", lambda: b"edited")
    bp.kprobe("vfs_read")
    assert len(parsed) == 1 + again


def test_without_a_cache_all_is_parsed(
    parsed: list[Any], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BPFPROBE_CACHE", "off")
    for _ in range(2):
        bp.kprobe("vfs_read")
    monkeypatch.setenv("BPFPROBE_CACHE", str(place.parent))
    monkeypatch.setattr(known, "fingerprint", lambda: None)
    bp.kprobe("vfs_read")
    assert len(parsed) == 3
    assert not place.exists()
