"""What README shows first works, on a recorded kernel."""

from __future__ import annotations

import re
from pathlib import Path

import bpfprobe as bp
from bpfprobe.pipeline import describe
from bpfprobe.testing import RecordedTarget

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
KERNEL = RecordedTarget.load(ROOT / "tests" / "targets" / "x86_64-6.1.json.gz")


def test_the_first_program_is_the_example() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert (ROOT / "examples" / "hello_open.py").read_text(encoding="utf-8").endswith(f"\n\n{code}")
    names: dict[str, bp.Probe] = {}
    exec(code.partition("\ndef main")[0], names)
    (planned,) = describe([names["opened"]], KERNEL).plan.probes
    assert [field.name for field in planned.layout.fields][-2:] == ["path", "fd"]


def test_the_first_line_is_the_same_probe() -> None:
    (line,) = re.findall(r"# bpfprobe trace '(r:opened .*)'", README)
    (planned,) = describe([bp.probe(line)], KERNEL).plan.probes
    assert [field.name for field in planned.layout.fields][-2:] == ["path", "fd"]
