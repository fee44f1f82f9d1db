from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from bpfprobe.engine import compiler_child, compiler_identity
from bpfprobe.engine.compiler_identity import LIBRARY
from bpfprobe.engine.compiler_identity import compiler_identity as identity
from bpfprobe.testing import FakeEngine

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No libbcc anywhere, but what a test puts into folders of this one."""
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    monkeypatch.delenv("BPFPROBE_COMPILER", raising=False)
    monkeypatch.setattr(compiler_identity, "_CACHE", str(tmp_path / "ld.so.cache"))
    monkeypatch.setattr(compiler_identity, "_FOLDERS", (str(tmp_path / "lib"),))
    return tmp_path


def put(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / LIBRARY).write_text("library")
    return folder / LIBRARY


def test_the_loaders_order(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert identity() == ""
    put(machine / "lib")
    assert identity().startswith(f"{machine}/lib/{LIBRARY} ")
    cached = put(machine / "cached")
    texts = [b"libbcc.so.0", b"/gone/libbcc.so.0", b"libbcc.so.0", os.fsencode(cached), b"more"]
    (machine / "ld.so.cache").write_bytes(b"\x01glibc\0" + b"\0".join(texts) + b"\0")
    assert identity().startswith(f"{machine}/cached/{LIBRARY} ")
    put(machine / "own")
    monkeypatch.setenv("LD_LIBRARY_PATH", f":/no/where:{machine}/own")
    assert identity().startswith(f"{machine}/own/{LIBRARY} ")


def test_a_change_is_another_one(machine: Path) -> None:
    library = put(machine / "lib")
    before = identity()
    assert identity() == before
    library.write_text("another")
    os.utime(library, (1, 1))
    assert identity() != before


@pytest.mark.usefixtures("machine")
def test_one_that_is_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    port = os.stat_result((stat.S_IFCHR | 0o600, 0, 0, 1, 0, 0, 0, 0, 0, 0))
    monkeypatch.setattr(os, "stat", lambda path: {"/dev/vport0p2": port}[path])
    monkeypatch.setenv("BPFPROBE_COMPILER", "/dev/vport0p2")
    assert identity() == "at /dev/vport0p2"


@pytest.mark.parametrize(
    ("place", "mode", "user"),
    [
        ("/dev/vport0p2", stat.S_IFCHR | 0o620, 0),
        ("/dev/vport0p2", stat.S_IFCHR | 0o600, 12345),
        ("/dev/vport0p2", stat.S_IFIFO | 0o600, 0),
        ("/dev/vport0p2/../mem", stat.S_IFCHR | 0o600, 0),
        ("/dev/mem", stat.S_IFCHR | 0o640, 0),
        ("/home/alice/port", stat.S_IFCHR | 0o600, 0),
    ],
)
def test_a_place_that_others_could_answer_at_counts_as_none(
    monkeypatch: pytest.MonkeyPatch, place: str, mode: int, user: int
) -> None:
    port = os.stat_result((mode, 0, 0, 1, user, 0, 0, 0, 0, 0))
    monkeypatch.setattr(os, "stat", lambda path: port)
    monkeypatch.setenv("BPFPROBE_COMPILER", place)
    assert not compiler_identity.compiles_elsewhere()


def test_it_is_the_library_that_is_loaded() -> None:
    assert LIBRARY == compiler_child.LIBRARY


def test_a_fake_has_none() -> None:
    assert FakeEngine().compiler() == ""
