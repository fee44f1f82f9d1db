"""Programs of bpfprobe on the machine: what they send is what was captured."""

from __future__ import annotations

import ctypes

import pytest

import bpfprobe as bp
from tests.machine.machine import Task
from tests.machine.probes import Probes, registers
from tests.sample_machine import MACHINE


@pytest.fixture(autouse=True)
def _library() -> None:
    try:
        ctypes.CDLL("libbcc.so.0")
    except OSError as error:
        pytest.skip(f"needs libbcc: {error}")


def placed(probes: Probes, address: int, data: bytes) -> int:
    return probes.machine.memory.place(address, data)


def test_a_return_with_what_was_kept_from_entry() -> None:
    opened = bp.kretprobe("do_sys_openat2", path="filename:ustring", fd="$retval:s32")
    probes = Probes([opened], MACHINE, Task(pid=4099, comm="cat"))
    path = placed(probes, 0x7000, b"/etc/hostname\0")
    entry, back = probes.names
    stack = 0xFFFF_C900_0000_1000
    for fd in (3, -2):
        probes.run(entry, registers(di=-100, si=path, sp=stack))
        probes.run(back, registers(ax=fd, sp=stack + 8))
    first, second = probes.events()
    assert (first.path, first.fd, first.pid, first.comm) == ("/etc/hostname", 3, 4099, "cat")
    assert (second.path, second.fd, second.cpu) == ("/etc/hostname", -2, 1)
    assert second.time > first.time
    assert probes.events() == []


def test_a_filter_keeps_what_it_should_and_costs_less_when_it_does_not() -> None:
    spec = bp.kprobe("vfs_read", size="count", filter='count > 4096 && comm == "cat"')
    runs = {}
    for comm in ("cat", "dog"):
        probes = Probes([spec], MACHINE, Task(comm=comm))
        (name,) = probes.names
        runs[comm] = [probes.run(name, registers(dx=size)) for size in (4096, 4097)]
        assert [event.size for event in probes.events()] == [4097] * (comm == "cat")
    assert runs["cat"][0].executed < runs["cat"][1].executed
    assert runs["dog"][1].executed < runs["cat"][1].executed


def test_a_pointer_that_leads_nowhere_is_marked() -> None:
    spec = bp.kprobe("vfs_read", name="file->f_path.dentry->d_name.name")
    probes = Probes([spec], MACHINE)
    probes.run(probes.names[0], registers(di=0xFFFF_8880_0000_0000))
    (event,) = probes.events()
    assert event.name is None
    assert event.faults == {"name"}


def test_a_full_ring_is_counted_and_nothing_else_is() -> None:
    probes = Probes([bp.kprobe("vfs_read")], MACHINE, options=bp.Options(buffer_bytes=4096))
    (name,) = probes.names
    sent = [probes.run(name, registers()) for _ in range(211)]
    delivered = len(probes.events())
    assert 0 < delivered < 211
    assert {run.result for run in sent} == {0}
    probes.run(name, registers())
    assert len(probes.events()) == 1


@pytest.mark.parametrize(
    ("text", "numbers", "result"),
    [
        ("$arg1 / $arg2", (40, 8), 5),
        ("$arg1 / $arg2", (40, 0), 0),
        ("$arg1 % $arg2", (43, 8), 3),
        ("$arg1 % $arg2", (43, 0), 43),
        ("43 % $arg1 % $arg2", (0, 5), 3),
        ("7 / ($arg1 >> 1 >> $arg2)", (1, 0), 0),
        ("$arg1 / (($arg2 == 0) / (5 == $arg2))", (3, 0), 0),
        ("$arg1 << $arg2", (3, 66), 12),
        ("$arg1 << ~($arg2 == 0)", (1, 0), 1 << 62),
        ("$arg1 >> $arg2", (1 << 63, 127), 1),
        ("(s64)$arg1 >> $arg2", (-16, 2), -4),
    ],
)
def test_what_c_leaves_open_is_as_in_bpf(text: str, numbers: tuple[int, int], result: int) -> None:
    probes = Probes([bp.kprobe("untyped", x=text)], MACHINE)
    probes.run(probes.names[0], registers(di=numbers[0], si=numbers[1]))
    (event,) = probes.events()
    assert event.x == result
