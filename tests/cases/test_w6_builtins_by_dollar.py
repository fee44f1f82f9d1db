"""``$pid`` is the builtin wherever it stands; a field of that name has a spelling of its own."""

from __future__ import annotations

import json

import pytest

import bpfprobe as bp
from bpfprobe.deliver.ftrace_text import ftrace_values
from bpfprobe.deliver.json_lines import json_line
from bpfprobe.deliver.table import Table
from bpfprobe.model.event import of_hit
from bpfprobe.model.scalar import S32, U32
from bpfprobe.model.value import (
    Builtin,
    BuiltinValue,
    CommText,
    ContextField,
    SyscallArgument,
    View,
)
from bpfprobe.resolve.scope import BUILTIN_NAMES
from bpfprobe.testing import FakeEngine, pack_record
from tests.sample_machine import bound, compiled, complaint, machine

TRACEPOINTS = {
    "sched:sched_process_exit": ["char comm[16]", "pid_t pid", "int prio"],
    "lab:every": [f"int {name}" for name in BUILTIN_NAMES],
    "syscalls:sys_enter_kill": ["long __syscall_nr", "pid_t pid", "int sig"],
    "syscalls:sys_exit_kill": ["long __syscall_nr", "long ret"],
}
TARGET = machine(
    tracepoints=TRACEPOINTS,
    functions=["long __x64_sys_kill(const struct pt_regs *regs)", "int set(int pid, int cpu)"],
)
PID = BuiltinValue(Builtin.PID)


def values(text: str) -> list[object]:
    return [capture.value for capture in bound(text, TARGET).captures]


@pytest.mark.parametrize("name", [n for n in BUILTIN_NAMES if n not in ("retval", "duration")])
def test_every_builtin_of_a_tracepoint(name: str) -> None:
    text = f"tracepoint:lab:every field={name} own=${name} dotted=args.{name} arrow=args->{name}"
    field, own, dotted, arrow = values(text)
    assert isinstance(field, ContextField)
    assert dotted == arrow == field
    assert own != field
    assert not isinstance(own, ContextField)


@pytest.mark.parametrize("name", ["retval", "duration"])
def test_what_an_event_has_not_is_not_its_field(name: str) -> None:
    found = complaint(f"tracepoint:lab:every x=${name}", TARGET)
    assert (found.code, "of its own" in found.message) == ("RETVAL_ON_PROBE", True)
    assert isinstance(values(f"tracepoint:lab:every x=args.{name}")[0], ContextField)


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("tracepoint:sched:sched_process_exit p=$pid", PID),
        ("tracepoint:sched:sched_process_exit c=$comm", CommText()),
        ("tracepoint:sched:sched_process_exit c=$COMM", CommText()),
        ("syscall:kill p=$pid", PID),
        ("syscall:kill p=pid", View(SyscallArgument(1), S32)),
        ("syscall:kill p=args.pid", View(SyscallArgument(1), S32)),
        ("kprobe:set p=$pid", PID),
        ("kretprobe:set c=$cpu", BuiltinValue(Builtin.CPU)),
        # the kernel's own e has its fields so
        ("e sched/sched_process_exit p=$pid", ContextField(24, S32)),
        # trace(8)'s $tgid is the process, and args the fields alone
        ('t:sched:sched_process_exit "%d", $tgid', View(PID, S32)),
        ('t:sched:sched_process_exit "%d", args->pid', ContextField(24, S32)),
    ],
)
def test_what_is_taken(text: str, taken: object) -> None:
    found = values(text)[0]
    found = found.value if isinstance(found, View) and found.value == taken else found
    assert found == taken


def test_in_a_filter() -> None:
    text = "tracepoint:sched:sched_process_exit {} if {} == {}"
    assert compiled(text.format("p=$pid t=$tid", "$pid", "$tid"), target=TARGET)
    one = bound(text.format("", "$pid", "7"), TARGET).filter
    other = bound(text.format("", "args.pid", "7"), TARGET).filter
    assert one == bound("kprobe:set if $pid == 7", TARGET).filter
    assert other == bound(text.format("", "pid", "7"), TARGET).filter != one


@pytest.mark.parametrize("text", ["args->tid", "(args->tid == 3)"])
def test_args_never_fall_back_to_a_builtin(text: str) -> None:
    line = f"t:sched:sched_process_exit {text if text[0] == '(' else f''''%d', {text}'''}"
    found = complaint(line.replace("'", '"'), TARGET)
    assert found.code in ("NO_BTFARG", "FIELD_NOT_FOUND")
    found = complaint("tracepoint:sched:sched_process_exit x=args.tid", TARGET)
    assert found.hint == "did you mean args.pid?"


def test_a_field_keeps_its_name_in_events() -> None:
    probe = bp.probe("tracepoint:sched:sched_process_exit pid comm args.prio")
    engine = FakeEngine()
    with bp.Session(probe, target=TARGET, engine=engine) as session:
        layout = session.event_type(probe).layout
        given = {"_pid": 7, "tid": 8, "_comm": "parent", "pid": 9, "comm": "child", "prio": 3}
        engine.push(pack_record(layout, **given))
        (event,) = session.events(max_events=1)
    assert (event.pid, event.comm, event.prio) == (9, "child", 3)
    assert (event._pid, event._comm) == (7, "parent")
    assert (of_hit(event, "pid"), of_hit(event, "comm")) == (7, "parent")
    shown = json.loads(json_line(event))
    assert (shown["pid"], shown["comm"], shown["_pid"]) == (9, "child", 7)
    table = Table([layout])
    assert table.header().split() == ["PID", "COMM", "PID", "COMM", "PRIO"]
    assert table.row(event).split() == ["7", "parent", "9", "child", "3"]
    assert dict(ftrace_values(event)) == {"pid": "9", "comm": '"child"', "prio": "3"}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("tracepoint:sched:sched_process_exit comm pid prio", ["comm", "pid", "prio"]),
        ("tracepoint:sched:sched_process_exit pid pid", ["pid", "arg2"]),
        ("tracepoint:lab:every time cpu tid uid", ["time", "cpu", "tid", "uid"]),
        ("syscall:kill pid sig", ["pid", "sig"]),
        ("kretprobe:set pid cpu retval", ["pid", "cpu", "retval"]),
        ("kprobe:set $pid args.cpu", ["arg1", "cpu"]),
    ],
)
def test_names(text: str, names: list[str]) -> None:
    made = compiled(text, target=TARGET)
    (plan,) = made.plan.probes
    assert [field.name for field in plan.layout.captured()] == names
    assert plan.layout.field_of_hit("pid").size == U32.size


def test_events_are_ordered_by_the_time_of_the_hit() -> None:
    probe = bp.probe("tracepoint:lab:every time")
    engine, events = FakeEngine(), list[tuple[int, int]]()
    session = bp.Session(probe, target=TARGET, engine=engine, ordered=True)
    session.on(probe)(lambda event: events.append((event._time, event.time)))
    with session:
        layout = session.event_type(probe).layout
        engine.push(*(pack_record(layout, _time=t, time=10 - t) for t in (3, 1, 2)))
        session.run(duration=0)
    assert events == [(1, 9), (2, 8), (3, 7)]
