"""What the kernel tells of processes as it happens: perf records of maps, forks and programs.

The forms are those of <linux/perf_event.h>. Each record ends with its time, in nanoseconds, as was
asked for; strings are padded with zeros before it.
"""

from __future__ import annotations

import os
import struct

from bpfprobe.model.mapping import (
    Executed,
    Exited,
    Forked,
    Mapped,
    Mapping,
    ProcessRecord,
    RecordsLost,
)

_HEADER = struct.Struct("=IHH")  # type, misc, size
_IDS = struct.Struct("=II")  # pid, tid; of a fork: pid and parent's pid
_TASK = struct.Struct("=IIII")  # pid, parent's pid, tid, parent's tid
_COUNT = struct.Struct("=QQ")  # id, lost
_MMAP2 = struct.Struct("=IIQQQIIQQII")
_TIME_BYTES = 8

_LOST, _COMM, _EXIT, _FORK, _MMAP = 2, 3, 4, 7, 10  # PERF_RECORD_LOST, ... _MMAP2
_COMM_EXEC = 1 << 13  # PERF_RECORD_MISC_COMM_EXEC
_DELETED = b" (deleted)"
_PROT_EXEC = 4


def read_records(data: bytes) -> list[tuple[int, ProcessRecord]]:
    """The records in the bytes of one CPU's buffer, each with its time; others are passed over."""
    found = []
    at = 0
    while at + _HEADER.size <= len(data):
        kind, misc, size = _HEADER.unpack_from(data, at)
        if size < _HEADER.size or at + size > len(data):
            break
        body = data[at + _HEADER.size : at + size]
        at += size
        record = _record(kind, misc, body[:-_TIME_BYTES])
        if record is not None:
            found.append((int.from_bytes(body[-_TIME_BYTES:], "little"), record))
    return found


def _record(kind: int, misc: int, body: bytes) -> ProcessRecord | None:
    if kind == _MMAP and len(body) > _MMAP2.size:
        return _mapped(body)
    if kind == _FORK and len(body) >= _IDS.size:
        pid, parent = _IDS.unpack_from(body)
        return Forked(pid, parent) if pid != parent else None  # else a thread
    if kind == _COMM and misc & _COMM_EXEC and len(body) >= _IDS.size:
        return Executed(_IDS.unpack_from(body)[0])
    if kind == _EXIT and len(body) >= _TASK.size:
        pid, _, tid, _ = _TASK.unpack_from(body)
        return Exited(pid, tid)
    if kind == _LOST and len(body) >= _COUNT.size:
        return RecordsLost(_COUNT.unpack_from(body)[1])
    return None


def _mapped(body: bytes) -> Mapped:
    pid, _, start, size, offset, major, minor, inode, _, protection, _ = _MMAP2.unpack_from(body)
    path = body[_MMAP2.size :].partition(b"\0")[0]
    mapping = Mapping(
        start,
        start + size,
        bool(protection & _PROT_EXEC),
        offset,
        os.makedev(major, minor),
        inode,
        "[anon]" if path == b"//anon" else os.fsdecode(path.removesuffix(_DELETED)),
        path.endswith(_DELETED),
    )
    return Mapped(pid, mapping)
