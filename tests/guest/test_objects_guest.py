"""Objects for this kernel by its BTF alone, and for another one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import bpfprobe as bp
from bpfprobe.errors import ObjectError

pytestmark = pytest.mark.guest(shares=True)

RECORDED = Path(__file__).parents[1] / "targets" / "x86_64-6.1.json.gz"
READS = "kprobe:vfs_read n=count name=file->f_path.dentry->d_name.name"
NAME = "an-object-was-here"


def build(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bpfprobe", "build", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("given", [(), ("--btf", "/sys/kernel/btf/vmlinux")], ids=["live", "btf"])
def test_built_and_run(tmp_path: Path, given: tuple[str, ...]) -> None:
    path = tmp_path / "reads.bpfo"
    spec = f'{READS} if name == "{NAME}"'
    done = build(*given, spec, "-o", str(path))
    assert done.returncode == 0, done.stderr
    (tmp_path / NAME).write_bytes(bytes(4096))
    for _ in range(2):  # the second start is a kept one
        with bp.Session.from_file(str(path), pid=os.getpid()) as session:
            descriptor = os.open(tmp_path / NAME, os.O_RDONLY)
            for size in range(1, 24):
                os.read(descriptor, size)
            os.close(descriptor)
            events = list(session.events(duration=0))
        assert [(event.n, event.name) for event in events] == [(n, NAME) for n in range(1, 24)]
    (tmp_path / NAME).unlink()


def test_what_btf_does_not_have(tmp_path: Path) -> None:
    spec = "tracepoint:sched:sched_switch next_comm"
    done = build("--btf", "/sys/kernel/btf/vmlinux", spec, "-o", str(tmp_path / "x.bpfo"))
    assert done.returncode != 0
    assert "[NOT_IN_BTF]" in done.stderr
    assert "--target takes a recording too" in done.stderr


@pytest.mark.guest(kernels=["newest"])
def test_of_another_kernel(tmp_path: Path) -> None:
    path = tmp_path / "reads.bpfo"
    done = build("--target", str(RECORDED), READS, "-o", str(path))
    assert done.returncode == 0, done.stderr
    with pytest.raises(ObjectError) as caught:
        bp.Session.from_file(str(path)).open()
    assert caught.value.code == "OBJECT_DIFFERS"
    assert "was built for 6.1.0-" in caught.value.message
    assert re.search(r"\w+\.\w+: \w+ at \d+ there, \w+ at \d+ here", caught.value.message)
