from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the cache is to be: not there yet."""
    monkeypatch.setenv("BPFPROBE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "objects"
