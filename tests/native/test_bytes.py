"""Bytes of a length that each hit has its own of, from a program that the tests start."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

import bpfprobe as bp
from bpfprobe.deliver.json_lines import json_line
from tests.native.programs import Program, Worker, needs_uprobes

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = needs_uprobes
TEXTS = [bytes(range(256))[n : 256 - n] for n in range(22)] + [b"\0" * 4096]


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    with Worker(Program.build(tmp_path_factory.mktemp("bytes"))) as running:
        yield running


def text(worker: Worker, **values: str) -> bp.Probe:
    return bp.uprobe(worker.program.path, "text", pid=worker.pid, captures=values)


def test_every_byte_and_no_more(worker: Worker) -> None:
    with bp.Session(
        text(worker, data="$arg1:bytes[$arg2]", same="$arg1:bytes[$arg2-1]")
    ) as session:
        worker.text(*TEXTS)
        events = list(session.events(duration=0))
    assert [event.data for event in events] == TEXTS
    assert [event.same for event in events] == [one[:-1] for one in TEXTS]
    assert not any(event.truncated or event.faults for event in events)
    lines = [json.loads(json_line(event)) for event in events]
    assert [line["data"].encode("utf-8", "surrogateescape") for line in lines] == TEXTS


def test_what_is_longer_is_cut_and_marked(worker: Worker) -> None:
    long = bytes(range(251)) * 20
    with bp.Session(
        text(worker, data="$arg1:bytes[$arg2]", tail="+5000($arg1):bytes[20]")
    ) as session:
        worker.text(long[:4096], long[:4097], long)
        events = list(session.events(duration=0))
    assert [event.data for event in events] == [long[:4096]] * 3
    assert [event.truncated for event in events] == [set(), {"data"}, {"data"}]
    assert events[2].tail == long[5000:]


def test_nothing_and_what_cannot_be_read(worker: Worker) -> None:
    probe = text(
        worker, none="$arg1:bytes[0]", less="$arg1:bytes[-5]", bad="+0(\\16):bytes[$arg2+1]",
        by_fault="$arg1:bytes[+0(\\16)]", cut="$arg1:bytes[(u64)-5]",
    )  # fmt: skip
    with bp.Session(probe) as session:
        worker.text(b"four" * 2000)
        (event,) = session.events(duration=0)
    assert (event.none, event.less, event.bad, event.by_fault) == (b"", b"", None, None)
    assert event.cut == b"four" * 1024
    assert (event.faults, event.truncated) == ({"bad", "by_fault"}, {"cut", "bad"})


def test_columns_of_arrow(worker: Worker) -> None:
    pytest.importorskip("pyarrow", reason="needs pyarrow")
    with bp.Session(text(worker, data="$arg1:bytes[$arg2]")) as session:
        worker.text(*TEXTS)
        batches = list(session.batches(duration=0))
    assert [one for batch in batches for one in batch.arrow()["data"].to_pylist()] == TEXTS
    assert [one for batch in batches for one in batch.values("data")] == TEXTS
