from __future__ import annotations

import ctypes
import struct
from typing import TYPE_CHECKING

import pytest

from bpfprobe.engine.perf_event import ProbePmu, output_request, read_pmu, request
from bpfprobe.errors import AttachError
from bpfprobe.model.machine import FileOffset
from bpfprobe.model.site import KernelSite, Site, TracepointSite, UserSite

if TYPE_CHECKING:
    from pathlib import Path

KPROBE = ProbePmu(type=6, return_bit=0, takes_ref_ctr=False)
UPROBE = ProbePmu(type=7, return_bit=0, takes_ref_ctr=True)


def fields(attr: bytes) -> tuple[int, int, int, int, int]:
    """Type, size, config, config1, config2."""
    kind, size, config, _, _, _, _, _, _, config1, config2 = struct.unpack("=IIQQQQQIIQQ", attr)
    return kind, size, config, config1, config2


@pytest.mark.parametrize(
    ("site", "config", "text", "config2"),
    [
        (KernelSite("vfs_read"), 0, b"vfs_read", 0),
        (KernelSite("vfs_read", offset=5), 0, b"vfs_read", 5),
        (KernelSite("vfs_read", returns=True), 1, b"vfs_read", 0),
        (KernelSite("f", module="m"), 0, b"m:f", 0),
    ],
)
def test_kernel_functions(site: KernelSite, config: int, text: bytes, config2: int) -> None:
    asked = request(site, KPROBE)
    kind, size, got, config1, got2 = fields(asked.attr)
    assert (kind, size, got, got2) == (6, 72, config, config2)
    assert ctypes.string_at(config1) == text
    assert (asked.pid, asked.cpu) == (-1, 0)


def test_a_module_can_be_left_out() -> None:
    asked = request(KernelSite("f", module="m"), KPROBE, plain_name=True)
    assert ctypes.string_at(fields(asked.attr)[3]) == b"f"


def test_an_address_goes_before_the_name() -> None:
    asked = request(KernelSite("f", offset=4, address=0xFFFFFFFF81000000), KPROBE)
    assert fields(asked.attr) == (6, 72, 0, 0, 0xFFFFFFFF81000004)


@pytest.mark.parametrize(("pid", "target"), [(None, (-1, 0)), (42, (42, -1))])
def test_user_functions(pid: int | None, target: tuple[int, int]) -> None:
    site = UserSite("/bin/b\udcffsh", FileOffset(0x1F0), True, pid, ref_ctr_offset=FileOffset(0x88))
    asked = request(site, UPROBE)
    kind, _, config, config1, config2 = fields(asked.attr)
    assert (kind, config, config2) == (7, 0x88 << 32 | 1, 0x1F0)
    assert ctypes.string_at(config1) == b"/bin/b\xffsh"
    assert (asked.pid, asked.cpu) == target


def test_tracepoints() -> None:
    asked = request(TracepointSite("sched", "sched_switch", 316), None)
    assert fields(asked.attr) == (2, 72, 316, 0, 0)


def test_output_wakes_by_bytes() -> None:
    asked = output_request(3, 4096)
    kind, _, config, _, sample, _, flags, wakeup, *_ = struct.unpack("=IIQQQQQIIQQ", asked.attr)
    assert (kind, config, sample, flags, wakeup) == (1, 10, 1 << 10, 1 << 14, 4096)
    assert (asked.pid, asked.cpu) == (-1, 3)


@pytest.mark.parametrize(
    ("site", "pmu", "code"),
    [
        (KernelSite("vfs_read"), None, "NO_KPROBES"),
        (UserSite("/bin/sh", FileOffset(4)), None, "NO_UPROBES"),
        (UserSite("/bin/sh", FileOffset(4), ref_ctr_offset=FileOffset(1 << 32)), UPROBE, "REF_CTR"),
        (
            UserSite("/bin/sh", FileOffset(4), ref_ctr_offset=FileOffset(8)),
            ProbePmu(7, 0, takes_ref_ctr=False),
            "REF_CTR",
        ),
    ],
)
def test_what_the_kernel_cannot_do(site: Site, pmu: ProbePmu | None, code: str) -> None:
    with pytest.raises(AttachError) as caught:
        request(site, pmu)
    assert caught.value.code == code


def test_reading_a_pmu(tmp_path: Path) -> None:
    assert read_pmu("uprobe", str(tmp_path)) is None
    folder = tmp_path / "uprobe" / "format"
    folder.mkdir(parents=True)
    (tmp_path / "uprobe" / "type").write_text("9\n")
    (folder / "retprobe").write_text("config:0\n")
    assert read_pmu("uprobe", str(tmp_path)) == ProbePmu(9, 0, takes_ref_ctr=False)
    (folder / "ref_ctr_offset").write_text("config:32-63\n")
    assert read_pmu("uprobe", str(tmp_path)) == ProbePmu(9, 0, takes_ref_ctr=True)
