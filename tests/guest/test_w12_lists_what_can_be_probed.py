"""What ``list`` shows can be attached to; the kernel refuses what it leaves out."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.guest(kernels=["5.10", "6.1", "newest"])

DEFINED = Path("/sys/kernel/tracing/kprobe_events")


def listed(*words):
    done = subprocess.run(
        [sys.executable, "-m", "bpfprobe", "list", *words], capture_output=True, text=True
    )
    return done.stdout.splitlines(), done.stderr


def kernel_takes(name):
    """Whether the kernel itself defines a probe of that name."""
    try:
        with DEFINED.open("a") as events:
            events.write(f"p:w12/seen {name}\n")
    except OSError:
        return False
    with DEFINED.open("a") as events:
        events.write("-:w12/seen\n")
    return True


def test_the_kernel_agrees():
    shown, note = listed("kprobe:*")
    every, silent = listed("-a", "kprobe:*")
    reasons = dict(line.removeprefix("kprobe:").split("  (", 1) for line in every if "  (" in line)
    assert len(every) == len(shown) + len(reasons)
    assert f"{len(reasons)} more cannot be probed here" in note
    assert silent == ""
    chance = random.Random(12)
    names = [line.removeprefix("kprobe:") for line in shown]
    wrong = [name for name in chance.sample(names, 211) if not kernel_takes(name)]
    assert wrong == []
    black = [name for name, why in reasons.items() if why.startswith("blacklisted")]
    assert [name for name in chance.sample(black, 23) if kernel_takes(name)] == []
    # The first is blacklisted, the second notrace, in every kernel here.
    assert not {"asm_exc_debug", "__bpf_prog_enter"} & {*names}
