"""Perf buffers that are larger than the memory that is left are refused before they are taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import bpfprobe as bp
from bpfprobe.engine import available_memory
from bpfprobe.engine.available_memory import available_bytes, check_available

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "available"),
    [
        ("MemTotal: 9 kB\nMemFree:    3 kB\nMemAvailable:   60000 kB\n", 60000 << 10),
        ("MemTotal: 9 kB\n", None),
        ("", None),
    ],
)
def test_what_is_available(text: str, available: int | None) -> None:
    assert available_bytes(text) == available


def test_all_cpus_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meminfo = tmp_path / "meminfo"
    monkeypatch.setattr(available_memory, "_MEMINFO", str(meminfo))
    monkeypatch.setattr(available_memory, "online_cpus", lambda: (0, 1, 2))
    check_available(1 << 20)  # it cannot be told
    meminfo.write_text("MemAvailable: 60 kB\n")
    check_available(5)
    with pytest.raises(bp.BpfprobeError) as caught:
        check_available(6)
    assert caught.value.code == "NO_MEMORY"
    assert "24 KiB a CPU take 72 KiB, and 60 KiB of memory are available" in str(caught.value)
