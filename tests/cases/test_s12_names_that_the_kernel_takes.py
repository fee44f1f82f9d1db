"""A capture may be called as what every event says of its hit."""

from __future__ import annotations

import pytest

import bpfprobe as bp
from bpfprobe.deliver.ftrace_text import ftrace_values
from bpfprobe.model.event import of_hit
from bpfprobe.model.layout import HEADER
from bpfprobe.model.span import SourceText
from bpfprobe.parse.definition import parse_definition
from bpfprobe.testing import FakeEngine, pack_record
from tests.sample_machine import bound, compiled, complaint, machine

TARGET = machine(functions=["int set(int pid, int cpu)"])


@pytest.mark.parametrize("name", HEADER)
@pytest.mark.parametrize("text", ["p set {}=%di", "r set {}=$retval", "kprobe:set {}=cpu+1"])
def test_every_such_name(text: str, name: str) -> None:
    (plan,) = compiled(text.format(name), target=TARGET).plan.probes
    assert [field.name for field in plan.layout.captured()] == [name]
    assert plan.layout.field_of_hit(name).name == f"_{name}"


@pytest.mark.parametrize(
    "text",
    [
        "p set pid=$current->pid comm=$comm",
        "p:x/y set pid=%di tid=%si cpu=%dx",
        "p /bin/sh:0x1234 comm=+0(%di):string time=%si",
        "e sched/sched_switch pid=$next_pid",
    ],
)
def test_lines_that_the_kernel_takes(text: str) -> None:
    spec = parse_definition(SourceText(text))
    assert [one.name for one in spec.captures] == [
        word.partition("=")[0] for word in text.split() if "=" in word
    ]


def test_a_filter_means_the_value() -> None:
    given = bound("p set pid=%di if pid == 3", TARGET).filter
    assert given == bound("p set other=%di if other == 3", TARGET).filter
    assert bound("p set pid=%di if common_pid == 3", TARGET).filter != given
    assert complaint('p set comm=%di if comm ~ "a*"', TARGET).code == "EXPECT_DIGIT"


def test_events_have_both() -> None:
    probe = bp.probe("p set pid=%di comm=%si:u64")
    engine = FakeEngine()
    with bp.Session(probe, target=TARGET, engine=engine) as session:
        layout = session.event_type(probe).layout
        engine.push(pack_record(layout, _pid=7, tid=8, _comm="parent", pid=9, comm=5))
        (event,) = session.events(max_events=1)
    assert (event.pid, event.comm, of_hit(event, "pid"), of_hit(event, "comm")) == (
        9,
        5,
        7,
        "parent",
    )
    assert dict(ftrace_values(event)) == {"pid": "0x9", "comm": "5"}


def test_in_python() -> None:
    made = compiled(bp.kprobe("set", captures={"pid": "$arg1"}), target=TARGET)
    assert [field.name for field in made.plan.probes[0].layout.captured()] == ["pid"]
