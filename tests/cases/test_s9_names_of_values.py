"""The name of a value is never that of another value."""

from __future__ import annotations

import json

import pytest

import bpfprobe as bp
from bpfprobe.deliver.json_lines import json_line
from bpfprobe.testing import FakeEngine, pack_record
from tests.sample_machine import compiled, complaint, machine

TARGET = machine(
    tracepoints={"lab:own": ["pid_t pid", "int uid", "int arg1"]},
    functions=["int set(int pid, int cpu)", "int crossed(int arg2, int arg1)", "int many(int uid)"],
)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("kprobe:set pid tid $arg1", "pid tid arg1"),
        ("kprobe:many pid tid $arg1", "pid tid arg1"),
        ("kprobe:set %si $arg1", "value1 arg1"),
        ("kprobe:set $arg2 %ax", "arg2 value2"),
        ("kprobe:set %ax arg1=%bx", "value1 arg1"),
        ("kprobe:set 1+2 %di", "arg1 arg2"),
        ("kprobe:set $arg1 $arg1 $arg2", "arg1 value2 arg2"),
        ("kprobe:set %ax value1=%bx $arg1", "value1_ value1 arg1"),
        # an argument or a field and the builtin that is called as it is
        ("kprobe:many $uid uid", "arg1 uid"),
        ("kprobe:many $uid $arg1", "value1 arg1"),
        ("tracepoint:lab:own $uid uid arg1", "value1 uid arg1"),
        ("tracepoint:lab:own $pid", "value1"),
        ("kprobe:set $tid $uid", "tid uid"),
        # arguments that are called like others
        ("kprobe:crossed $arg1 $arg2", "value1 value2"),
        ("kprobe:crossed arg1 arg2", "arg1 arg2"),
        ("kprobe:set $arg* pid=%dx", "arg1 cpu pid"),
        ("kprobe:set $arg* cpu=%dx arg2=%si", "pid value2 cpu arg2"),
        # the kernel counts those that have no name
        ("p set %ax $arg1", "arg1 arg2"),
        ("p set $arg2 %ax", "arg2 value2"),
        ("p set $arg2 arg2=%ax", "arg1 arg2"),
        ("p set $comm %ax", "arg1 arg2"),
    ],
)
def test_names(text: str, names: str) -> None:
    (plan,) = compiled(text, target=TARGET).plan.probes
    assert [field.name for field in plan.layout.captured()] == names.split()


@pytest.mark.parametrize(
    "text", ["p set %ax arg1=%bx", "p set $arg2 arg1=%ax", "kprobe:set a=%ax a=%bx"]
)
def test_what_is_used_twice(text: str) -> None:
    assert complaint(text, TARGET).code == "USED_ARG_NAME"


def test_events() -> None:
    probe = bp.probe("kprobe:set pid tid $arg1")
    engine = FakeEngine()
    with bp.Session(probe, target=TARGET, engine=engine) as session:
        layout = session.event_type(probe).layout
        engine.push(pack_record(layout, _pid=7, _tid=8, pid=7, tid=8, arg1=3))
        (event,) = session.events(max_events=1)
    shown = json.loads(json_line(event))
    assert {name: shown[name] for name in ("pid", "tid", "arg1")} == {
        "pid": 7, "tid": 8, "arg1": 3,
    }  # fmt: skip
