"""Batches hold what the events hold, however the records lie."""

from __future__ import annotations

import math
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import bpfprobe as bp
from bpfprobe.deliver.columns import column_names, head_dtype
from bpfprobe.deliver.event_types import head_format
from bpfprobe.errors import DecodeError
from bpfprobe.testing import FakeEngine, pack_counters, pack_record
from tests.sample_machine import MACHINE

CAPTURES = {
    "n": "count:u64",
    "small": "+0(buf):s16",
    "ok": "+0(buf):bool",
    "letter": "count:char",
    "weight": "+0(buf):f64",
    "short": "+0(buf):f32",
    "scales": "+0(buf):f32[2]",
    "row": "+0(buf):s32[3]",
    "path": "+0(buf):ustring",
    "other": "+8(buf):ustring",
    "argv": "argv",
    "fixed": "func",
}
ROWS: list[dict[str, Any]] = [
    {
        "n": 1 << 63,
        "small": -5,
        "ok": 1,
        "letter": "a",
        "row": (-1, 2, 3),
        "weight": -1.5,
        "short": 0.25,
        "scales": (1.5, -2.0),
        "path": "/etc/passwd",
    },
    {
        "n": 2,
        "small": None,
        "ok": 0,
        "letter": "\xe9",
        "row": None,
        "weight": None,
        "short": math.inf,
        "path": None,
        "argv": ["a", ""],
    },
    {"n": 3, "small": 7, "ok": 1, "row": (4, 5, 6), "path": "", "other": b"\xff\xfe", "argv": []},
    {"n": 4, "small": 7, "ok": None, "row": (7, 8, 9), "path": "x" * 61, "truncated": ["path"]},
]


class Bench:
    def __init__(self, *probes: bp.Probe, **options: Any) -> None:
        self.engine = FakeEngine()
        self.probes = probes
        self.session = bp.Session(*probes, target=MACHINE, engine=self.engine, **options)
        self.counts = [0 for _ in probes]

    def send(self, probe: int = 0, **values: Any) -> None:
        layout = self.session.event_type(self.probes[probe]).layout
        self.engine.push(pack_record(layout, probe=probe, **values))
        self.counts[probe] += 1
        self.engine.counters["counters", probe] = [pack_counters(produced=self.counts[probe])]


def everything() -> Bench:
    return Bench(bp.kprobe("vfs_read", captures=CAPTURES, string_bytes=64))


def numbers() -> Bench:
    return Bench(bp.kprobe("vfs_read", n="count:u64"))


@pytest.mark.parametrize("copy", [True, False])
@pytest.mark.parametrize("rows", [ROWS, ROWS[:1] * 23], ids=["uneven", "even"])
def test_a_batch_is_its_events(rows: list[dict[str, Any]], copy: bool) -> None:
    bench = everything()
    with bench.session as session:
        for at, row in enumerate(rows):
            bench.send(time=1000 + at, pid=at, comm="né" if at else "", **row)
        (batch,) = session.batches(duration=0, copy=copy)
        events = batch.events()
        assert (len(batch), batch.probe, len(events)) == (len(rows), "vfs_read", len(rows))
        assert {type(event) for event in events} == {batch.type}
        layout = batch.type.layout
        assert batch.array.dtype.names == tuple(column_names(layout))
        for name in batch.type.names():
            values = [getattr(event, name) for event in events]
            faulted = [name in event.faults for event in events]
            assert batch.values(name) == values
            assert batch.faulted(name).tolist() == faulted
            assert batch.cut(name).tolist() == [name in event.truncated for event in events]
            if name in (batch.array.dtype.names or ()):
                seen = [chr(v) if name == "letter" else as_python(v) for v in batch.array[name]]
                pairs = zip(seen, values, faulted, strict=True)
                assert all(fault or got == want for got, want, fault in pairs), name
            column = batch.arrow().column(batch.type.names().index(name))
            assert column.to_pylist() == [as_arrow(value) for value in values]
        batch.arrow().validate(full=True)
        statistics = session.statistics()
    assert (statistics.delivered, statistics.waiting) == (len(rows), 0)
    assert statistics.faults == sum(len(event.faults) for event in events)
    assert statistics.truncated == sum(len(event.truncated) for event in events)


def as_python(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    return tuple(value.tolist()) if isinstance(value, np.ndarray) else value


def as_arrow(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    return [as_arrow(part) for part in value] if isinstance(value, tuple) else value


def test_batches_and_events_share_one_ledger() -> None:
    bench = numbers()
    with bench.session as session:
        for n in range(101):
            bench.send(n=n)
        assert [event.n for event in session.events(max_events=3)] == [0, 1, 2]
        batches = session.batches(limit=40)
        assert next(batches).array["n"].tolist() == list(range(3, 43))
        assert (session.statistics().delivered, session.statistics().waiting) == (43, 58)
        assert next(batches).array["n"].tolist() == list(range(43, 83))
        batches.close()  # type: ignore[attr-defined]  # as the end of a loop does
        assert session.statistics().waiting == 18
        assert [event.n for event in session.events(duration=0)] == list(range(83, 101))
    assert session.statistics() == bp.Statistics(produced=101, delivered=101)


def test_each_batch_is_of_one_probe_and_what_is_left_comes_again() -> None:
    bench = Bench(
        bp.kprobe("vfs_read", n="count:u64"),
        bp.kprobe("vfs_write", n="count:u64", name="+0(buf):ustring"),
    )
    with bench.session as session:
        for n in range(23):
            bench.send(0, n=n)
            bench.send(1, n=100 + n, name="x" * n)
        first = next(session.batches())
        assert (first.probe, first.array["n"].tolist()) == ("vfs_read", list(range(23)))
        assert session.statistics().waiting == 23
        assert [event.n for event in session.events(max_events=2)] == [100, 101]
        (last,) = session.batches(duration=0)
        assert last.array["n"].tolist() == list(range(102, 123))
        assert last.values("name") == ["x" * n for n in range(2, 23)]
    assert session.statistics() == bp.Statistics(produced=46, delivered=46)


@pytest.mark.parametrize("copy", [True, False])
def test_a_wrong_record_comes_alone(copy: bool) -> None:
    bench = numbers()
    with bench.session as session:
        bench.send(n=1)
        bench.engine.push(b"\x07\x00" + bytes(46), b"\x00\x00", b"")
        bench.send(n=2)
        assert next(session.batches(copy=copy)).array["n"].tolist() == [1]
        for _ in range(3):
            with pytest.raises(DecodeError):
                next(session.batches(copy=copy))
        assert next(session.batches(copy=copy)).array["n"].tolist() == [2]


def test_stop_ends_batches() -> None:
    bench = numbers()
    with bench.session as session:
        for n in range(20):
            bench.send(n=n)
        seen = []
        for batch in session.batches(limit=8):
            seen.append(len(batch))
            session.stop()
        assert seen == [8]


def test_stop_with_drain_ends_batches_when_all_are_there() -> None:
    bench = numbers()
    with bench.session as session:
        for n in range(20):
            bench.send(n=n)
        seen = []
        for batch in session.batches(limit=8):
            seen.append(len(batch))
            session.stop(drain=True)
        assert seen == [8, 8, 4]


def test_arrays_cannot_be_written() -> None:
    bench = numbers()
    with bench.session as session:
        bench.send(n=1)
        (batch,) = session.batches(duration=0)
        with pytest.raises(ValueError, match="read-only"):
            batch.array["n"][0] = 2
        with pytest.raises(KeyError):
            batch.faulted("probe")
        with pytest.raises(KeyError):
            batch.values("nothing")
        assert isinstance(batch.arrow(), pa.RecordBatch)


@pytest.mark.parametrize(("missing", "code"), [("numpy", "NO_NUMPY"), ("pyarrow", "NO_PYARROW")])
def test_without_the_library(missing: str, code: str) -> None:
    program = f"""
import sys
sys.modules[{missing!r}] = None
import bpfprobe as bp
from bpfprobe.testing import FakeEngine, pack_record
from tests.sample_machine import MACHINE
engine, probe = FakeEngine(), bp.kprobe("vfs_read", n="count:u64")
with bp.Session(probe, target=MACHINE, engine=engine) as session:
    engine.push(pack_record(session.event_type(probe).layout, n=1))
    try:
        next(session.batches()).arrow()
    except bp.MissingLibraryError as error:
        print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert f"[{code}]" in done.stdout
    assert "pip install" in done.stdout


def test_numpy_reads_the_places_that_struct_reads() -> None:
    with everything().session as session:
        layout = session.event_type(session.probes[0]).layout
        dtype = head_dtype(layout)
        assert dtype.itemsize == layout.head_size == struct.calcsize("<" + head_format(layout)[0])
        places = {name: spot[1] for name, spot in (dtype.fields or {}).items()}
        wanted = {f.name: f.offset for f in layout.fields if f.name in places}
        assert {name: at for name, at in places.items() if not name.startswith("#")} == wanted
        assert [places[f"#{n}"] for n in range(len(layout.mark_offsets))] == [*layout.mark_offsets]
