from __future__ import annotations

import gzip
import json
import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import pytest

from bpfprobe.cli import check
from bpfprobe.errors import SpecError, TargetError, UsageError

KERNELS = Path(__file__).parents[1] / "targets" / "kernels"
RECORDED = [str(KERNELS / f"{series}.json.gz") for series in ("5.10", "6.1", "6.12", "7.2")]
PROBES = str(KERNELS / "probes.txt")
TABLE = {
    "opened": ["ok", "ok", "ok", "differs"],
    "read": ["ok", "ok", "differs", "differs"],
    "short": ["ok", "ok", "differs", "fails NO_BTF_FIELD"],
    "woken": ["ok", "fails NO_BTF_FIELD", "fails NO_BTF_FIELD", "fails NO_BTF_FIELD"],
    "freed": ["fails NO_BTFARG", "ok", "differs", "differs"],
    "execed": ["ok", "ok", "ok", "ok"],
    "asked": ["ok", "ok", "ok", "ok"],
    "merged": ["ok", "fails BAD_PROBE_ADDR", "fails FAIL_REG_PROBE", "fails FAIL_REG_PROBE"],
}


def ask(*words: str) -> int:
    parser = ArgumentParser()
    check.add_arguments(parser)
    return check.run(parser.parse_args(words))


def test_a_table_of_kernels(capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(PROBES, "--target", *RECORDED) == 1
    table, _, details = capsys.readouterr().out.partition("\n\n")
    header, *rows = table.splitlines()
    assert [word[:4] for word in header.split()] == ["DESC", "5.10", "6.1.", "6.12", "7.2."]
    assert [row.split() for row in rows] == [
        [name, *" ".join(cells).split()] for name, cells in TABLE.items()
    ]
    assert "  file.f_path.dentry: x64 at 72; on 5.10.0-" in details
    assert "  hint: did you mean __state or" in details
    assert "probes.txt:6: struct task_struct has no member state [NO_BTF_FIELD]" in details
    assert details.count("struct task_struct has no member state") == 1  # for three kernels
    assert "execed on" not in details


def test_json_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert ask("--json", PROBES, "--target", *RECORDED) == 1
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert [target["arch"] for target in told["targets"]] == ["x86_64"] * 4
    assert [target["file"] for target in told["targets"]] == RECORDED
    for description in told["descriptions"]:
        cells = [
            f"{verdict['outcome']} {verdict['code'] or ''}".strip()
            for verdict in description["verdicts"]
        ]
        assert cells == TABLE[description["name"]]
    read = told["descriptions"][1]
    assert read["text"].startswith("read=kprobe:vfs_read")
    assert read["source"] == f"{PROBES}:4"
    places = [verdict["relies_on"]["file.f_path.dentry"] for verdict in read["verdicts"]]
    assert places == ["x64 at 24", "x64 at 24", "x64 at 72", "x64 at 72"]
    assert "did you mean" in told["descriptions"][3]["verdicts"][1]["notes"][-1]


def test_differences_alone_are_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    text = "kprobe:vfs_read n=count pos=file->f_pos name=file->f_path.dentry->d_name.name"
    assert ask(text, "--target", *RECORDED) == 0
    assert "differs" in capsys.readouterr().out


def test_verbose_shows_what_is_counted_on(capsys: pytest.CaptureFixture[str]) -> None:
    text = "tracepoint:sched:sched_process_exec filename who=pid"
    assert ask("-v", text, "--target", RECORDED[0]) == 0
    assert capsys.readouterr().out.splitlines()[-3:] == [
        "  tracepoint sched:sched_process_exec: there",
        "  field filename of tracepoint sched:sched_process_exec: __data_loc char[] filename at 8",
        "  field pid of tracepoint sched:sched_process_exec: pid_t pid at 12",
    ]


def test_what_was_not_recorded_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert ask("kprobe:vfs_write", "--target", RECORDED[0]) == 1
    assert "fails NOT_RECORDED" in capsys.readouterr().out


def test_two_files_of_one_release_go_by_their_names(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    twin = tmp_path / "twin.json.gz"
    twin.write_bytes(Path(RECORDED[0]).read_bytes())
    assert ask("syscall:getpgid whose=$arg1:s32 retval", "--target", RECORDED[0], str(twin)) == 0
    header = capsys.readouterr().out.splitlines()[0]
    assert header.split()[1:] == [RECORDED[0], str(twin)]


def test_a_recording_of_what_was_asked_answers_the_same(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    again = str(tmp_path / "again.json.gz")
    assert ask("--record", again, PROBES, "--target", RECORDED[1]) == 1
    first = capsys.readouterr().out
    assert ask(PROBES, "--target", again) == 1
    assert capsys.readouterr().out == first
    # Each zlib packs in its own way.
    kept, asked = (gzip.decompress(Path(path).read_bytes()) for path in (again, RECORDED[1]))
    assert kept == asked


def test_all_that_is_no_description_is_told_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "probes.txt"
    file.write_text("kprobs:vfs_read\n\np vfs_read =%di\n")
    with pytest.raises(SpecError) as caught:
        ask(str(file), "--target", RECORDED[0])
    assert len(caught.value.diagnostics) == 2
    assert f"{file}:1: " in str(caught.value)
    assert f"{file}:3: " in str(caught.value)


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"\xff\xfe\x00", "NOT_TEXT"), (b"# " + b"x" * (1 << 20), "TOO_BIG"), (None, "NO_FILE")],
)
def test_files_that_are_none(tmp_path: Path, content: bytes | None, code: str) -> None:
    file = tmp_path / "probes.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(TargetError) as caught:
        ask(str(file), "--target", RECORDED[0])
    assert caught.value.code == code


def test_a_description_that_is_too_long_for_a_name(capsys: pytest.CaptureFixture[str]) -> None:
    text = "kprobe:vfs_read " + " ".join(f"pos{n}=file->f_pos" for n in range(99))
    assert ask(text, "--target", RECORDED[1]) == 0
    assert capsys.readouterr().out.endswith("vfs_read     ok\n")


def test_places_that_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "fifo"):
        with pytest.raises(TargetError) as caught:
            ask(str(path), "--target", RECORDED[0])
        assert caught.value.code == "NOT_REGULAR"


def test_uses_without_meaning(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--record takes one machine"):
        ask("--record", str(tmp_path / "x"), PROBES, "--target", *RECORDED)
    (tmp_path / "empty.txt").write_text("# nothing\n")
    with pytest.raises(UsageError, match="no description"):
        ask(str(tmp_path / "empty.txt"))
