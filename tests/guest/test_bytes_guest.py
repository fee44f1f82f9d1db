"""``bytes[LENGTH]`` through the verifier and out of the memory of each kernel."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

import bpfprobe as bp

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.guest(shares=True)

SENT = [bytes(range(200, 200 + n)) + b"\0\n" for n in range(22)] + [b"x" * 65]


@pytest.mark.guest(timeout_s=200)
@pytest.mark.parametrize("transport", ["ring", "perf"])
def test_what_was_written(transport: str, tmp_path: Path) -> None:
    call = bp.syscall(
        "write", string_bytes=64, data="buf:bytes[count]", done="buf:bytes[retval]",
        filter="count < 100",
    )  # fmt: skip
    inside = bp.kprobe(
        "vfs_write", string_bytes=64, data="buf:bytes[count]", filter="count < 100",
        name="file->f_path.dentry->d_name.name:bytes[5]", wrong="$arg2:bytes[(s32)-1]",
    )  # fmt: skip
    file = os.open(tmp_path / "bytes", os.O_CREAT | os.O_WRONLY)
    with bp.Session(call, inside, pid=os.getpid(), transport=transport) as session:
        for data in SENT:
            os.write(file, data)
        events = list(session.events(duration=0))
    calls = [event for event in events if event.probe == call.name]
    assert [event.data for event in calls] == [data[:64] for data in SENT]
    assert [event.done for event in calls] == [data[:64] for data in SENT]
    assert [event.truncated for event in calls] == [set()] * 22 + [{"data", "done"}]
    below = [event for event in events if event.probe == inside.name]
    assert [(event.data, event.name, event.wrong) for event in below] == [
        (data[:64], b"bytes", b"") for data in SENT
    ]
