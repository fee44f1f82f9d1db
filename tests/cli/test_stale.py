from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import TYPE_CHECKING

import pytest

from bpfprobe.cli import doctor
from bpfprobe.cli.stale import doctor_stale
from bpfprobe.errors import TargetError, UsageError
from bpfprobe.target.event_files import EventFiles
from bpfprobe.target.processes import Processes
from tests.tracing_root import KPROBES, TRACEFS, UPROBES, add_process, make_root

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_root(tmp_path)
    add_process(tmp_path, 100)
    return tmp_path


def ask(root: Path, *, clean: bool, as_json: bool = False) -> int:
    return doctor_stale(EventFiles(root), Processes(root), clean=clean, as_json=as_json)


def test_what_is_stale_is_shown_and_nothing_written(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(root, clean=False) == 1
    assert capsys.readouterr().out == (
        "stale    kprobes/r_vfs_read_bcc_99  (vfs_read, 41 hits)  bcc: process 99 has ended\n"
        "kept     kprobes/p_vfs_open_bcc_100  (vfs_open)  bcc: process 100 (tracer 100) lives\n"
        "stale    uprobes/p__bin_sh_0x5000_bcc_99  (/bin/sh:0x0000000000005000)  "
        "bcc: process 99 has ended\n"
        "2 stale, 1 kept, 7 of others, which are not touched\n"
        "-> bpfprobe doctor --stale --clean takes the stale ones away\n"
    )
    assert (root / TRACEFS / "kprobe_events").read_text() == KPROBES


def test_clean_removes_them_and_nothing_else(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(root, clean=True, as_json=True) == 0
    told = json.loads(capsys.readouterr().out)
    assert [(one["event"], one["outcome"]) for one in told] == [
        ("kprobes/r_vfs_read_bcc_99", "removed"),
        ("kprobes/p_vfs_open_bcc_100", "kept"),
        ("uprobes/p__bin_sh_0x5000_bcc_99", "removed"),
    ]
    kernel, user = ((root / TRACEFS / f"{kind}probe_events").read_text() for kind in "ku")
    assert kernel == f"{KPROBES}-:kprobes/r_vfs_read_bcc_99\n"
    assert user == f"{UPROBES}-:uprobes/p__bin_sh_0x5000_bcc_99\n"


@pytest.mark.parametrize(
    ("code", "outcome", "status"), [("EVENT_BUSY", "refused", 1), ("EVENT_GONE", "removed", 0)]
)
def test_each_removal_is_reported(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    code: str, outcome: str, status: int,
) -> None:  # fmt: skip
    def refuse(_files: EventFiles, event: object) -> None:
        raise TargetError(f"{event} is so", code=code, hint="wait")

    monkeypatch.setattr(EventFiles, "remove", refuse)
    assert ask(root, clean=True) == status
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{outcome:7}  kprobes/r_vfs_read_bcc_99")
    assert "kprobes/r_vfs_read_bcc_99 is so" in lines[1]
    assert (lines[2].strip() == "-> wait") is (outcome == "refused")
    assert f"2 {outcome}" in lines[-1]


def test_nothing_stale(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for kind in "ku":
        (root / TRACEFS / f"{kind}probe_events").write_text("p:my/ev vfs_read\n")
    assert ask(root, clean=True) == 0
    assert capsys.readouterr().out == ("no stale events; 5 of others, which are not touched\n")


def test_clean_alone_is_a_usage_error() -> None:
    parser = ArgumentParser()
    doctor.add_arguments(parser)
    with pytest.raises(UsageError, match="--stale"):
        doctor.run(parser.parse_args(["--clean"]))
