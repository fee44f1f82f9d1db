"""Perf records of processes, as <linux/perf_event.h> lays them out."""

from __future__ import annotations

import os
import struct

from hypothesis import given
from hypothesis import strategies as st

from bpfprobe.engine.process_records import read_records
from bpfprobe.model.mapping import Executed, Exited, Forked, Mapped, Mapping, RecordsLost


def record(kind: int, body: bytes, misc: int = 0, time: int = 1) -> bytes:
    body += struct.pack("=Q", time)
    return struct.pack("=IHH", kind, misc, 8 + len(body)) + body


def mmap2(path: bytes, protection: int = 5, inode: int = 77) -> bytes:
    name = path + bytes(8 - len(path) % 8)
    return record(
        10,
        struct.pack("=IIQQQIIQQII", 42, 43, 0x1000, 0x2000, 0x3000, 8, 1, inode, 0, protection, 2)
        + name,
        time=9,
    )


def test_what_is_mapped() -> None:
    plain = Mapping(0x1000, 0x3000, True, 0x3000, os.makedev(8, 1), 77, "/bin/ls")
    assert read_records(mmap2(b"/bin/ls")) == [(9, Mapped(42, plain))]
    ((_, told),) = read_records(mmap2(b"/bin/ls (deleted)", protection=1))
    assert isinstance(told, Mapped)
    assert (told.mapping.path, told.mapping.is_deleted, told.mapping.executable) == (
        "/bin/ls", True, False
    )  # fmt: skip
    for path, name in ((b"//anon", "[anon]"), (b"[vdso]", "[vdso]"), (b"/\xff", "/\udcff")):
        ((_, told),) = read_records(mmap2(path, inode=0))
        assert isinstance(told, Mapped)
        assert told.mapping.path == name
        assert told.mapping.is_file is name.startswith("/")


def test_what_begins() -> None:
    data = b"".join(
        [
            record(7, struct.pack("=IIIIQ", 8, 7, 8, 7, 5), time=5),
            record(7, struct.pack("=IIIIQ", 8, 8, 9, 8, 6), time=6),  # a thread
            record(3, struct.pack("=II8s", 8, 8, b"ls"), misc=1 << 13, time=7),
            record(3, struct.pack("=II8s", 8, 8, b"renamed"), time=8),
            record(4, struct.pack("=IIIIQ", 8, 7, 9, 7, 9), time=9),  # the thread exits
            record(2, struct.pack("=QQ", 1, 3)),  # three were lost
        ]
    )
    assert read_records(data) == [
        (5, Forked(8, 7)), (7, Executed(8)), (9, Exited(8, 9)), (1, RecordsLost(3)),
    ]  # fmt: skip


def test_what_is_cut_off() -> None:
    whole = mmap2(b"/bin/ls")
    for size in range(len(whole)):
        assert read_records(whole[:size]) == []
    assert read_records(record(10, b"") + whole)[0][0] == 9
    assert read_records(bytes(8) + whole) == []  # a size of nothing: where would the next be


@given(st.binary(max_size=200))
def test_anything(data: bytes) -> None:
    read_records(data)
