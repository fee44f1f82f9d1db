"""What programs do not do: counted on a machine that runs them, and in their length."""

from __future__ import annotations

import ctypes
import json
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import bpfprobe as bp
from tests.machine.machine import Task
from tests.machine.probes import Probes, registers
from tests.sample_machine import MACHINE, compiled, machine

if TYPE_CHECKING:
    from tests.machine.machine import Run
    from tests.render.conftest import Everything

COUNTS = Path(__file__).parent / "instructions.json"
SAMPLE = Task(pid=4099, uid=7, comm="worker")


@pytest.fixture(autouse=True)
def _library() -> None:
    try:
        ctypes.CDLL("libbcc.so.0")
    except OSError as error:
        pytest.skip(f"needs libbcc: {error}")


def hit(probe: str | bp.ProbeSpec, options: dict[str, Any] | None = None) -> tuple[Run, list[Any]]:
    """One hit of a probe on vfs_read(file, "/etc/passwd", 4097)."""
    spec = bp.probe(probe) if isinstance(probe, str) else probe
    probes = Probes([spec], MACHINE, SAMPLE, bp.Options(**(options or {})))
    text = probes.machine.memory.place(0x7000, b"/etc/passwd\0")
    file = probes.machine.memory.place(0xFFFF_8880_0000_0000, bytes(8192))
    done = probes.run(probes.names[-1], registers(di=file, si=text, dx=4097))
    return done, probes.events()


@pytest.mark.parametrize(
    ("filter_text", "options", "calls"),
    [
        ("pid == 1", {}, 1),
        ("count > 5000", {}, 1),
        ("uid == 3", {}, 2),
        (None, {"uid": 3}, 2),
        ('comm == "other"', {}, 2),
        ('comm ~ "*z"', {}, 2),
        ("cpu == 30", {}, 2),
        ("file->f_flags == 1", {}, 2),
        ('+u0(buf) == "/etc/group"', {}, 3),  # and to find the memory of the event
        ("pid == 1 && cpu == 30 && count == 4", {}, 1),
    ],
)
def test_a_hit_that_is_not_wanted_costs_what_it_takes_to_know(
    filter_text: str | None, options: dict[str, Any], calls: int
) -> None:
    probe = bp.kprobe("vfs_read", filter=filter_text, n="count", name="+u0(buf):string")
    done, events = hit(probe, options)
    assert events == []
    assert sum(done.calls.values()) == calls


@pytest.mark.parametrize(
    "probe",
    [
        "p vfs_read count comm_=$comm again=comm who=comm==\"worker\" if comm == \"worker\"",
        "p vfs_read uid gid cpu ppid cgroup time u=uid+gid if uid == 7 && gid > 0 && cpu == 1",
        "p vfs_read if comm == \"worker\" || comm ~ \"*x*\" || comm ~ \"y*\"",
        "p vfs_read a=file->f_flags b=file->f_flags if file->f_flags == 0 || file->f_flags == 3",
        "p vfs_read name=+u0(buf):string if name ~ \"*pass*\" && name != \"x\" || name == \"y\"",
        "p vfs_read if +u0(buf) ~ \"*pass*\" && +u0(buf) != \"x\"",
        "p vfs_read if +u0(buf) == \"x\" || +u0(buf) == \"/etc/passwd\"",
    ],
)  # fmt: skip
def test_nothing_is_asked_for_twice(probe: str) -> None:
    done, events = hit(probe)
    assert len(events) == 1
    per_event = dict(done.calls)
    # the counters, and memory that the event is put together in
    assert per_event.pop("map_lookup_elem") <= 2
    assert per_event.pop("probe_read_kernel", 0) <= 3  # ppid is two reads away
    assert set(per_event.values()) == {1}


def test_members_of_a_struct_are_read_at_once_and_fault_at_once() -> None:
    captures = {"sb": "inode->i_sb", "number": "inode->i_ino", "mode": "inode->i_mode",
                "uid": "inode->i_uid", "deep": "inode->i_sb->s_magic"}  # fmt: skip
    target = machine(functions=["int look(struct inode *inode, struct inode *other)"])
    more = {f"{name}2": text.replace("inode->", "other->", 1) for name, text in captures.items()}
    probe = bp.kprobe("look", captures=captures | more, comm=False)
    probes = Probes([probe], target, SAMPLE)
    memory = probes.machine.memory
    super_block = memory.place(0xFFFF_8880_0001_0000, struct.pack("<Q", 4079))
    inode = memory.place(
        0xFFFF_8880_0000_0000, struct.pack("<HxxIQQ", 0o100644, 1009, super_block, 2003)
    )
    done = probes.run(probes.names[0], registers(di=inode, si=0xFFFF_8880_7777_0000))
    (event,) = probes.events()
    values = [getattr(event, name) for name in captures]
    assert values == [super_block, 2003, 0o100644, 1009, 4079]
    assert [getattr(event, name) for name in more] == [None] * 5
    assert event.faults == set(more)
    # mode, uid and number of each, the super block that leads further, and what it leads to
    assert done.calls["probe_read_kernel"] == 6


def test_a_text_that_is_filtered_and_captured_is_the_same_in_both() -> None:
    texts = [b"/etc/passwd", b"", b"/etc/p", b"x" * 300]
    probe = bp.uprobe(
        "bash", "main", before="+u8(%di):string", name="+u0(%di):string",
        after="+u4(%di):string", filter='name ~ "/etc*" || name == "" || name ~ "*x"',
    )  # fmt: skip
    probes = Probes([probe], MACHINE, SAMPLE)
    for number, text in enumerate(texts):
        place = probes.machine.memory.place(0x10000 * (number + 1), text + bytes(16))
        done = probes.run(probes.names[0], registers(di=place))
        assert done.calls["probe_read_user_str"] == 3
        (event,) = probes.events()
        assert event.raw("name") == text
        assert event.raw("before") == text[8:]
        assert event.raw("after") == text[4:]
    done = probes.run(probes.names[0], registers(di=0x999000))
    assert probes.events() == []
    assert done.calls["probe_read_user_str"] == 1


def test_a_text_that_is_captured_twice_is_there_once() -> None:
    probe = bp.uprobe(
        "bash", "main", a="+u0(%di):string", b="+0(%si):x8", c="+u0(%di):string", string_bytes=8,
        filter='c ~ "s*" || a == "x"',
    )  # fmt: skip
    probes = Probes([probe], MACHINE, SAMPLE)
    for text in (b"short", b"shorter", b"shortened"):
        place = probes.machine.memory.place(0x7000, text + b"\0")
        done = probes.run(probes.names[0], registers(di=place, si=place))
        assert done.calls["probe_read_user_str"] == 1
        (event,) = probes.events()
        assert event.raw("a") == event.raw("c") == text[:7]
        assert event.b == ord("s")
        assert event.truncated == ({"a", "c"} if len(text) > 7 else set())
        probes.machine.memory.drop(place)
    unfiltered = bp.uprobe("bash", "main", a="+u0(%di):string", c="+u0(%di):string")
    probes = Probes([unfiltered], MACHINE, SAMPLE)
    done = probes.run(probes.names[0], registers(di=0x999000))
    (event,) = probes.events()
    assert (event.a, event.c, event.faults) == (None, None, {"a", "c"})


def test_a_slot_that_is_free_is_the_only_one_looked_at() -> None:
    probe = bp.uprobe("bash", "main", name="+u0(%di):string")
    probes = Probes([probe], MACHINE, SAMPLE)
    done = probes.run(probes.names[0], registers(di=probes.machine.memory.place(0x7000, b"x\0")))
    assert done.calls["map_lookup_elem"] == 2  # the counters, and the slot


def test_the_reader_is_woken_when_it_has_been_quiet_for_long_enough() -> None:
    probes = Probes([bp.kprobe("vfs_read", n="count")], MACHINE, SAMPLE, bp.Options(buffer_bytes=1))
    ring = probes.machine.buffer(0)
    size = 48
    quiet = compiled("p vfs_read count", buffer_bytes=1).plan.parameters.wake_bytes
    woken = []
    for number in range(23):
        before = ring.wakeups
        probes.run(probes.names[0], registers(dx=number))
        woken += [number] * (ring.wakeups - before)
        probes.events()
    step = quiet // size + 1
    assert woken == list(range(0, 23, step))


def test_programs_do_not_grow_unnoticed(
    pytestconfig: pytest.Config, everything: Everything
) -> None:
    """``pytest --update-golden`` writes the counts anew."""
    made = {
        transport: {
            c.program.name: len(c.instructions) // 8 for c in everything.through(transport)[1]
        }
        for transport in ("ring", "perf")
    }
    if pytestconfig.getoption("--update-golden"):
        COUNTS.write_text(json.dumps(made, indent=1) + "\n")
    known = json.loads(COUNTS.read_text())
    longer = [
        f"{transport} {name}: {count}, and was {known[transport].get(name)}"
        for transport, counts in made.items()
        for name, count in counts.items()
        # another version of LLVM may do with some more
        if count > 1.1 * known[transport].get(name, 0)
    ]
    assert longer == []
    assert made["ring"].keys() == known["ring"].keys()
