"""The whole text of what is wrong."""

from __future__ import annotations

import pytest

import bpfprobe as bp
from bpfprobe.testing import StaticTarget


def test_one_cause_in_several_probes_is_told_once_with_each_place() -> None:
    target = StaticTarget(functions=["int f(int a)"])
    probes = [bp.kprobe(name) for name in ("gone", "f", "gone")]
    probes += [bp.kprobe("f", captures={"x": "b"})]
    with pytest.raises(bp.SpecError) as error:
        bp.Session(*probes, target=target).c_source()
    cause, other = str(error.value).split("\n\n")
    assert cause.count("has no function gone [BAD_PROBE_ADDR]") == 1
    assert cause.count("hint: ") <= 1
    assert cause.splitlines()[1:5] == ["  gone", "  ^~~~"] * 2
    assert "capture x: f has no argument b" in other
    assert len(error.value.diagnostics) == 3
