"""What ``list`` shows can be attached to; the kernel refuses what it leaves out."""

from __future__ import annotations

import os
import random
import subprocess
import sys

import pytest

pytestmark = pytest.mark.guest(kernels=["5.10", "newest"], timeout_s=240)  # 50,000 names

DEFINED = "/sys/kernel/tracing/kprobe_events"


def listed(*words):
    done = subprocess.run(
        [sys.executable, "-m", "bpfprobe", "list", *words], capture_output=True, text=True
    )
    return done.stdout.splitlines(), done.stderr


def kernel_takes(name):
    """Whether the kernel itself defines a probe of that name."""
    events = os.open(DEFINED, os.O_WRONLY | os.O_APPEND)  # it cannot be sought in
    try:
        os.write(events, f"p:w12/seen {name}\n".encode())
        os.write(events, b"-:w12/seen\n")
    except OSError:
        return False
    finally:
        os.close(events)
    return True


def test_the_kernel_agrees():
    every, silent = listed("-a", "kprobe:*")
    assert silent == ""
    reasons = dict(line.removeprefix("kprobe:").split("  (", 1) for line in every if "  (" in line)
    names = [line.removeprefix("kprobe:") for line in every if "  (" not in line]
    chance = random.Random(12)
    assert [name for name in chance.sample(names, 23) if not kernel_takes(name)] == []
    black = [name for name, why in reasons.items() if why.startswith("blacklisted")]
    assert [name for name in chance.sample(black, 11) if kernel_takes(name)] == []
    # The first is blacklisted, the second notrace, in every kernel here.
    assert {"asm_exc_debug", "__bpf_prog_enter"} <= {*reasons}


def test_what_cannot_be_probed_is_left_out():
    shown, note = listed("kprobe:__bpf_*")
    every, _ = listed("-a", "kprobe:__bpf_*")
    left_out = [line for line in every if "  (" in line]
    assert shown == [line for line in every if line not in left_out]
    assert shown
    assert left_out
    assert f"{len(left_out)} more cannot be probed here" in note
