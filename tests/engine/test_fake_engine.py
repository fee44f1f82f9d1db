from __future__ import annotations

import errno
import select

import pytest

from bpfprobe.engine.live import LiveEngine
from bpfprobe.engine.loader import relocate
from bpfprobe.errors import AttachError, LoadError
from bpfprobe.model.machine import FileOffset
from bpfprobe.model.object import CSource, MapDef, MapKind, ProgramDef, ProgramKind
from bpfprobe.model.site import KernelSite, UserSite
from bpfprobe.testing.fake_engine import FakeEngine
from tests.taking import take

PROGRAMS = (ProgramDef("bp_0", ProgramKind.KPROBE), ProgramDef("bp_1", ProgramKind.KPROBE))
RING = MapDef("ring", MapKind.RINGBUF, 0, 0, 65536)
SOURCE = CSource("int bp_0;", "", PROGRAMS, (RING,))
SITE = KernelSite("vfs_read")


def test_it_has_every_method_of_the_live_one() -> None:
    names = {name for name in vars(LiveEngine) if not name.startswith("_")}
    assert all(callable(getattr(FakeEngine(), name)) for name in names)


def test_from_text_to_records_and_back() -> None:
    engine = FakeEngine()
    code = engine.compile(SOURCE)
    assert [c.program for c in code] == list(PROGRAMS)
    assert relocate(code[0].instructions, []) == code[0].instructions
    ring = engine.create_map(RING)
    program = engine.load(code[0], [ring])
    engine.push(b"early")
    source = engine.open_ring(ring, 65536)
    link = engine.attach(program, SITE)
    engine.push(b"second", b"third")
    assert engine.attached == (SITE,)
    assert take(source, 2) == [b"early", b"second"]
    assert take(source, 2) == [b"third"]
    for close in (link.close, source.close, lambda: engine.close_fd(ring)):
        close()
        close()
    assert not engine.is_idle
    engine.close_fd(program)
    assert engine.is_idle
    assert engine.attached == ()
    assert engine.sources == [SOURCE]


def test_the_descriptor_is_readable_while_there_are_records() -> None:
    engine = FakeEngine()
    source = engine.open_ring(engine.create_map(RING), 65536)

    def readable() -> bool:
        return bool(select.select(source.filenos(), [], [], 0)[0])

    assert not readable()
    engine.push(b"1", b"2")
    assert readable()
    take(source, 1)
    assert readable()
    take(source, 10)
    assert not readable()
    source.close()
    assert source.filenos() == ()
    assert take(source, 1) == []


def test_a_refusal_reads_as_a_live_one() -> None:
    engine = FakeEngine()
    engine.refuse("bash", errno.ENOENT)
    program = engine.load(engine.compile(SOURCE)[0], [])
    engine.attach(program, SITE)
    with pytest.raises(AttachError) as caught:
        engine.attach(program, UserSite("/bin/bash", FileOffset(4)))
    assert (caught.value.code, caught.value.errno) == ("NO_FILE", errno.ENOENT)
    assert engine.attached == (SITE,)


def test_counters_keys_and_misses() -> None:
    engine = FakeEngine(cpus=3, misses=5)
    fd = engine.create_map(MapDef("counts", MapKind.PERCPU_ARRAY, 4, 8, 2))
    assert engine.read_percpu(fd, 0, 8) == [bytes(8)] * 3
    engine.count("counts", 1, 7, 2)
    values = [int.from_bytes(value, "little") for value in engine.read_percpu(fd, 1, 8)]
    assert values == [7, 2, 0]
    engine.pending["counts"] = [b"\1\0\0\0"]
    assert engine.keys(fd, 4) == [b"\1\0\0\0"]
    assert engine.recursion_misses(1) == 5


def test_a_value_that_is_written_while_programs_run() -> None:
    engine = FakeEngine()
    fd = engine.create_map(MapDef("values", MapKind.ARRAY, 4, 16, 1, initial=bytes(range(16))))
    value = engine.map_value(fd, 16)
    value.write([(8, b"\xff" * 8)])
    value.close()
    value.write([(0, b"\xff" * 8)])
    assert engine.values == {"values": bytes(range(8)) + b"\xff" * 8}
    with pytest.raises(LoadError) as caught:
        engine.map_value(fd, 24)
    assert caught.value.code == "MAP_WRITE"


def test_what_can_be_made_to_fail() -> None:
    engine = FakeEngine()
    engine.fail("load", LoadError("no", code="PROGRAM"))
    with pytest.raises(LoadError, match="no"):
        engine.load(engine.compile(SOURCE)[0], [])


def test_mistakes_of_the_caller_are_told() -> None:
    engine = FakeEngine()
    with pytest.raises(LoadError):
        engine.attach(7, SITE)
    with pytest.raises(LoadError):
        engine.open_ring(engine.create_map(RING), 4096)
    with pytest.raises(LoadError):
        engine.load(engine.compile(SOURCE)[0], [12345])
