from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

import bpfprobe as bp
from bpfprobe import starting
from bpfprobe.cli.main import main
from bpfprobe.testing import FakeEngine
from tests.sample_machine import FACTS, MACHINE

if TYPE_CHECKING:
    from pathlib import Path


class Compiler(FakeEngine):
    def compiler(self) -> str:
        return "libbcc 1"


def bpfprobe(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(words)
    return int(ended.value.code or 0)


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with one start in it."""
    monkeypatch.setenv("BPFPROBE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(starting, "live_engine", Compiler)
    monkeypatch.setattr(starting, "live_target", lambda: MACHINE)
    with bp.Session(bp.probe("kprobe:vfs_read count")):
        pass
    return tmp_path / "cache" / "objects"


def test_a_table_of_what_is_there(cached: Path, capsys: Any) -> None:
    assert bpfprobe("cache", "list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["KIND", "SIZE", "MADE", "USED", "KERNEL", "WHAT"]
    rows = {line.split()[0]: line for line in lines[1:-1]}
    assert sorted(rows) == ["code", "start"]
    assert rows["start"].endswith("kprobe:vfs_read count")
    assert FACTS.release in rows["start"]
    assert rows["code"].endswith("p0_vfs_read")
    size = sum(path.stat().st_size for path in cached.iterdir())
    assert lines[-1] == f"{cached.resolve()}: {size} bytes; 1 descriptions known"


def test_what_is_not_used_says_why(cached: Path, capsys: Any) -> None:
    for number, path in enumerate(sorted(cached.iterdir())):
        path.write_bytes(b"x") if number else path.chmod(0o644)
    (cached / "other").write_bytes(b"")
    (cached / "other").chmod(0o600)
    os.mkfifo(cached / "start-pipe", 0o600)
    assert bpfprobe("cache", "list") == 0
    shown = capsys.readouterr().out
    assert "open to others (mode 644)" in shown
    assert "this is not an object of bpfprobe" in shown
    assert "start-pipe: not a regular file" in shown
    assert "other: none of ours" in shown


def test_clear(cached: Path, capsys: Any) -> None:
    assert bpfprobe("cache", "clear") == 0
    assert capsys.readouterr().out == f"{cached.resolve()}: 3 files removed\n"
    assert list(cached.iterdir()) == []
    assert bpfprobe("cache", "list") == 0
    assert capsys.readouterr().out == f"{cached.resolve()}: 0 bytes; 0 descriptions known\n"


def test_where_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setenv("BPFPROBE_CACHE", str(tmp_path))
    assert bpfprobe("cache", "list") == 0
    assert capsys.readouterr().out == f"{tmp_path}/objects: nothing has been kept\n"
    monkeypatch.setenv("BPFPROBE_CACHE", "off")
    assert bpfprobe("cache", "clear") == 0
    assert capsys.readouterr().out == "the cache is off (BPFPROBE_CACHE=off)\n"


def test_one_that_must_not_be_used(cached: Path, capsys: Any) -> None:
    cached.chmod(0o770)
    for action in ("list", "clear"):
        assert bpfprobe("cache", action) == 1
        assert "is open to others (mode 770) [CACHE]\nhint: it must be" in capsys.readouterr().err
    assert len(list(cached.iterdir())) == 3
