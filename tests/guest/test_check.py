"""``bpfprobe check`` on the kernel itself, on a recording of it, and on its BTF."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

PROBES = Path(__file__).parents[1] / "targets" / "kernels" / "probes.txt"
IN_BTF = ["opened", "read", "short", "woken"]


def check(*words):
    command = [sys.executable, "-m", "bpfprobe", "check", "--json", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    told = json.loads(done.stdout)["descriptions"]
    return {one["name"]: [(v["outcome"], v["relies_on"]) for v in one["verdicts"]] for one in told}


def test_three_ways_to_the_same_verdicts(tmp_path):
    recorded = tmp_path / "here.json.gz"
    live = check(PROBES, "--record", recorded)
    assert check(PROBES, "--target", recorded) == live
    assert len(recorded.read_bytes()) < 20_000
    of_btf = check(PROBES, "--target", "/sys/kernel/btf/vmlinux")
    assert {name: of_btf[name] for name in IN_BTF} == {name: live[name] for name in IN_BTF}
    assert live["read"][0][0] == live["execed"][0][0] == live["asked"][0][0] == "ok"
    assert of_btf["execed"][0][0] == "fails"  # BTF has no formats of tracepoints
    both = check(PROBES, "--target", recorded, "/sys/kernel/btf/vmlinux")
    assert [outcome for outcome, _ in both["read"]] == ["ok", "ok"]
