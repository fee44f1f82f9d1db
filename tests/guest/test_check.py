"""``bpfprobe check`` on the kernel itself, on a recording of it, and on its BTF."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path

import pytest

from bpfprobe.cli import check

PROBES = Path(__file__).parents[1] / "targets" / "kernels" / "probes.txt"
IN_BTF = ["opened", "read", "short", "woken"]


def ask(capsys, *words):
    """What each description counts on, and its outcome, for each target."""
    parser = ArgumentParser()
    check.add_arguments(parser)
    assert check.run(parser.parse_args(["--json", *map(str, words)])) in (0, 1)
    told = json.loads(capsys.readouterr().out)["descriptions"]
    return {one["name"]: [(v["outcome"], v["relies_on"]) for v in one["verdicts"]] for one in told}


@pytest.mark.guest(kernels=["5.10", "newest"], timeout_s=500)
def test_three_ways_to_the_same_verdicts(capsys, tmp_path):
    recorded = tmp_path / "here.json.gz"
    live = ask(capsys, PROBES, "--record", recorded)
    assert len(recorded.read_bytes()) < 20_000
    assert live["read"][0][0] == live["execed"][0][0] == live["asked"][0][0] == "ok"
    both = ask(capsys, PROBES, "--target", recorded, "/sys/kernel/btf/vmlinux")
    assert {name: verdicts[:1] for name, verdicts in both.items()} == live
    assert {name: both[name][1] for name in IN_BTF} == {name: live[name][0] for name in IN_BTF}
    assert both["execed"][1][0] == "fails"  # BTF has no formats of tracepoints
