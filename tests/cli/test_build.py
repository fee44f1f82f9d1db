from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from bpfprobe import starting
from bpfprobe.cli.main import main
from bpfprobe.objects import read_object
from bpfprobe.testing import FakeEngine

RECORDED = str(Path(__file__).parents[1] / "targets" / "x86_64-6.1.json.gz")
READS = "kprobe:vfs_read count name=file->f_path.dentry->d_name.name"


@pytest.fixture(autouse=True)
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "live_engine", FakeEngine)


def bpfprobe(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(words)
    return int(ended.value.code or 0)


def test_an_object_for_a_recorded_machine(tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / "reads.bpfo"
    assert bpfprobe("build", "--target", RECORDED, READS, "-Z", "99", "-o", str(path)) == 0
    file = read_object(str(path)).file
    assert file.release.startswith("6.1.0-")
    assert file.descriptions[0].string_bytes == 100
    assert capsys.readouterr().out == f"{path}: {path.stat().st_size} bytes for {file.release}\n"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["reads.bpfo"]


def test_what_was_there_stays_until_the_new_one_is_whole(tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / "reads.bpfo"
    path.write_text("old")
    assert bpfprobe("build", "--target", RECORDED, "kprobe:nothing", "-o", str(path)) != 0
    assert path.read_text() == "old"
    assert bpfprobe("build", "--target", RECORDED, READS, "-o", str(tmp_path / "no" / "x")) == 1
    assert "cannot be written: No such file or directory [NO_OUTPUT]" in capsys.readouterr().err


def test_btf_and_a_recording_exclude_each_other(capsys: Any) -> None:
    assert bpfprobe("build", "--target", "a", "--btf", "b", READS, "-o", "c") == 2
    assert "not allowed with argument" in capsys.readouterr().err
    assert bpfprobe("build", READS) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("x.bpfo", READS), "x.bpfo is an object, and goes alone"),
        (("x.bpfo", "-K"), "--kernel-stack is for descriptions, and x.bpfo was built without it"),
        (("x.bpfo", "-Z", "5"), "--string-size is for descriptions"),
        (("x.bpfo", "--ebpf"), "--ebpf is for descriptions"),
        (("x.bpfo", "--dialect", "kernel"), "--dialect is for descriptions"),
        (("no/where.bpfo",), "there is no file no/where.bpfo"),
    ],
)
def test_what_goes_with_no_object(words: tuple[str, ...], message: str, capsys: Any) -> None:
    assert bpfprobe("trace", *words) == 1
    assert message in capsys.readouterr().err


def test_help_says_how_to_have_a_recording(capsys: Any) -> None:
    assert bpfprobe("build", "--help") == 0
    assert "bpfprobe explain --record FILE SPEC" in capsys.readouterr().out
    assert "bpfprobe.parse" in sys.modules
