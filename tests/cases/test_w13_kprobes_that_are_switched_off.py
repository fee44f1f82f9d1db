"""A kernel whose kprobes are switched off is refused at the start, with what switches them on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import bpfprobe as bp
from bpfprobe.model.noun import replace
from bpfprobe.model.premise import Premise, PremiseKind
from bpfprobe.plan.obstacles import refuse_obstacles
from bpfprobe.target.identity import switch_state
from bpfprobe.target.live import LiveTarget
from bpfprobe.target.premises import holds
from tests.sample_machine import FACTS, machine, planned

if TYPE_CHECKING:
    from pathlib import Path

    from bpfprobe.model.machine import Answer

ENABLED = "/sys/kernel/debug/kprobes/enabled"
FTRACE = "/proc/sys/kernel/ftrace_enabled"


def kprobes(root: Path, armed: str, ftrace: str) -> Answer:
    """What a machine says whose files have these words."""
    files = {"/proc/mounts": "none /sys/kernel/debug debugfs rw 0 0\n", ENABLED: armed,
             FTRACE: ftrace, "/sys/bus/event_source/devices/kprobe/type": "6\n"}  # fmt: skip
    for path, text in files.items():
        (root / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        (root / path[1:]).write_text(text)
    return LiveTarget(root).facts().kprobes


@pytest.mark.parametrize(
    ("armed", "ftrace", "reason", "hint"),
    [
        ("0\n", "1\n", f"{ENABLED} is 0", f"`echo 1 > {ENABLED}` arms them"),
        ("1\n", "0\n", "kernel.ftrace_enabled is 0", "`sysctl kernel.ftrace_enabled=1`"),
    ],
)
@pytest.mark.parametrize("text", ["p vfs_read", "r vfs_read", "kretprobe:vfs_read duration"])
def test_the_reason_and_the_way_out(
    tmp_path: Path, text: str, armed: str, ftrace: str, reason: str, hint: str
) -> None:
    answer = kprobes(tmp_path, armed, ftrace)
    target = machine(replace(FACTS, kprobes=answer))
    with pytest.raises(bp.AttachError) as caught:
        refuse_obstacles(planned(text, target=target))
    assert caught.value.code == "NO_KPROBES"
    assert f"kprobes are switched off ({reason}" in caught.value.message
    assert caught.value.hint is not None
    assert caught.value.hint.startswith(hint)


def test_a_start_that_was_kept_asks_again(tmp_path: Path) -> None:
    switch = tmp_path / "enabled"
    switch.write_text("1\n")
    premise = Premise(PremiseKind.SWITCH, str(switch), switch_state(str(switch)))
    assert holds(premise)
    switch.write_text("0\n")
    assert not holds(premise)
    switch.unlink()
    assert not holds(premise)
