"""What was split off a function can be probed where the kernel says so."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

import bpfprobe as bp
from bpfprobe.target.live import LiveTarget

pytestmark = pytest.mark.guest(kernels=["5.10", "6.1"], timeout_s=300)

TRACEFS = Path("/sys/kernel/tracing")
SUFFIXES = ("cold", "part.0", "constprop.0", "isra.0")


def takes(definition: str, file: str = "kprobe_events") -> bool:
    """Whether the kernel takes a definition."""
    events = os.open(TRACEFS / file, os.O_WRONLY | os.O_APPEND)  # it cannot be sought in
    try:
        os.write(events, f"{definition}\n".encode())
    except OSError:
        return False
    finally:
        os.close(events)
    return True


def takes_probe(name: str) -> bool:
    return takes(f"p:g8/seen {name}") and takes("-:g8/seen")


def test_functions_with_a_suffix():
    target, chance = LiveTarget(), random.Random(8)
    for suffix in SUFFIXES:
        names = [
            name
            for name in target.matching_functions(f"*.{suffix}")
            if len(target.symbols(name)) == 1
        ]
        blacklisted = [name for name in names if target.is_blacklisted(name)]
        others = sorted(
            name for name in {*names} - {*blacklisted} if target.is_traceable(name) is not None
        )
        for name in chance.sample(others, min(7, len(others))):
            assert takes_probe(name) is target.is_traceable(name), name
        for name in blacklisted[:7]:
            assert not takes_probe(name), name
    cold = next(n for n in target.matching_functions("vfs_*.cold") if target.is_traceable(n))
    with bp.Session(bp.kprobe(cold)):
        pass
