from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHOW = "from bpfprobe.store.fingerprint import fingerprint; print(fingerprint())"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("checkout")
    for name in ("bpfprobe", "templates"):
        shutil.copytree(ROOT / name, place / name, ignore=shutil.ignore_patterns("__pycache__"))
    return place


def shown(checkout: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-S", "-B", "-c", SHOW],
        cwd=checkout, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout


@pytest.mark.parametrize(
    "part",
    [
        "templates/shared.c",
        "bpfprobe/plan/plan.py",
        "bpfprobe/pipeline.py",
        "bpfprobe/target/elf.py",
    ],
)
def test_an_edit_makes_it_another_build(checkout: Path, part: str) -> None:
    before = shown(checkout)
    assert before == shown(checkout)
    path = checkout / part
    status, text = path.stat(), path.read_text()
    path.write_text(text)  # of the same size, and with its old time
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert shown(checkout) != before


def test_a_new_file_makes_it_another_build(checkout: Path) -> None:
    before = shown(checkout)
    (checkout / "bpfprobe" / "resolve" / "more.py").write_text("")
    assert shown(checkout) != before


def test_each_stage_has_a_part() -> None:
    from bpfprobe.store import fingerprint

    folders = {path.parent.name for path in (ROOT / "bpfprobe").glob("*/__init__.py")}
    left_out = {"check", "cli", "deliver", "follow", "ftrace", "lab", "read", "testing"}
    assert set(fingerprint._FOLDERS) == folders - left_out | {"."}
