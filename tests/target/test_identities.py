"""Files of overlayfs mounts, which are those of a layer."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import pytest

from bpfprobe.model.mapping import FileKey
from bpfprobe.target.identities import Identities, is_on_overlay


def status(device: int, inode: int = 7, changed_ns: int = 3) -> Any:
    return SimpleNamespace(
        st_dev=device, st_ino=inode, st_size=100, st_mtime_ns=2, st_ctime_ns=changed_ns
    )


@pytest.mark.parametrize("overlays", ["ab", "bc", "abc"])
def test_a_file_of_a_layer_is_one_in_each_mount(overlays: str) -> None:
    identities = Identities(lambda path: path in overlays)
    keys = {path: identities.of(path, status(device)) for device, path in enumerate("abc", 1)}
    assert set(keys.values()) == {FileKey(1, 7)}
    assert identities.of("a", status(1, changed_ns=4)) == FileKey(1, 7)
    assert identities.of("b", status(2, changed_ns=4)) == FileKey(1, 7)


def test_others_are_what_stat_says() -> None:
    """A snapshot of btrfs has the same inodes and times, and files of its own."""
    identities = Identities(lambda path: path == "overlay")
    assert identities.of("a", status(1)) == FileKey(1, 7)
    assert identities.of("b", status(2)) == FileKey(2, 7)
    copied_up = status(3, changed_ns=4)
    assert identities.of("overlay", copied_up) == FileKey(3, 7)
    assert identities.of("overlay", status(3, inode=8)) == FileKey(3, 8)


def test_file_systems_are_asked() -> None:
    with open("/proc/self/mounts") as lines:
        mounts = [line.split()[1:3] for line in lines]
    assert not is_on_overlay("/proc")
    assert not is_on_overlay("/no/such/file")
    for place, kind in mounts:
        if kind == "overlay" and os.access(place, os.X_OK):
            assert is_on_overlay(place)
