"""A program that its cgroup kills for memory leaves the guest's kernel trusted."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.guest(kernels=["6.1"])
def test_an_oom_kill_is_not_a_fault(tmp_path: Path) -> None:
    root = tmp_path / "cgroup"
    root.mkdir()
    subprocess.run(["mount", "-t", "cgroup2", "none", root], check=True)
    (root / "cgroup.subtree_control").write_text("+memory")
    group = root / "eats"
    group.mkdir()
    (group / "memory.max").write_text("16M")
    code = f"open({str(group / 'cgroup.procs')!r}, 'w').write('0'); b'x' * (1 << 28)"
    ended = subprocess.run([sys.executable, "-S", "-c", code])
    assert ended.returncode == -signal.SIGKILL
    assert "oom_kill 1" in (group / "memory.events").read_text()
    # The kernel has told it on the console, with a call trace.
    assert (
        "invoked oom-killer"
        in subprocess.run(["dmesg"], check=True, capture_output=True, text=True).stdout
    )
