"""A file that bpfprobe writes is written whole or not at all, and through nobody's link."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bpfprobe.errors import ResourceError
from bpfprobe.testing import StaticTarget, record_target
from bpfprobe.whole_file import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def record(path: Path) -> None:
    recording = record_target(StaticTarget(functions=["int f(int a)"]))
    recording.prototype("f")
    recording.write(path)


def whole(path: Path) -> None:
    write_whole(path, b"new")


WRITERS = pytest.mark.parametrize("write", [whole, record])


@WRITERS
def test_what_is_replaced(write: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "out"
    write(path)
    first = path.read_bytes()
    path.write_bytes(b"old")
    write(path)
    assert path.read_bytes() == first != b"old"
    assert list(tmp_path.iterdir()) == [path]


@WRITERS
def test_a_guess_at_the_name_of_the_partial_file_leads_nowhere(
    write: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who may write to the folder lays a link where the file is to be written first."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    guessed = bytes(8)
    monkeypatch.setattr(os, "urandom", lambda count: guessed[:count])
    link = folder / f".{os.getpid()}-{guessed.hex()}"
    link.symlink_to(victim)
    with pytest.raises(ResourceError, match="File exists"):
        write(folder / "out")
    assert victim.read_bytes() == b"precious"
    assert not (folder / "out").exists()


def lay_link(path: Path) -> None:
    path.with_name("victim").write_bytes(b"precious")
    path.symlink_to("victim")


@WRITERS
@pytest.mark.parametrize(
    ("lay", "reason"),
    [
        (lay_link, "it is a symbolic link"),
        (lambda path: path.symlink_to("/proc/self/fd/1"), "it is a symbolic link"),
        (lambda path: os.mkfifo(path), "it is not a regular file"),
        (lambda path: path.mkdir(), "it is not a regular file"),
    ],
    ids=["link", "stream", "fifo", "folder"],
)
def test_what_is_not_a_file_is_neither_followed_nor_replaced(
    write: Callable[[Path], None], lay: Callable[[Path], None], reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "out"
    lay(path)
    before = path.lstat()
    with pytest.raises(ResourceError, match=reason) as caught:
        write(path)
    assert caught.value.code == "NO_OUTPUT"
    assert path.lstat() == before
    if (tmp_path / "victim").exists():
        assert (tmp_path / "victim").read_bytes() == b"precious"


@WRITERS
def test_on_a_full_disk_the_old_file_stays(
    write: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"old")

    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ResourceError, match="No space left on device") as caught:
        write(path)
    assert (caught.value.code, caught.value.errno) == ("NO_OUTPUT", errno.ENOSPC)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("command", ["explain --record", "check --record"])
def test_a_limit_of_file_size_leaves_the_old_recording(command: str, tmp_path: Path) -> None:
    """As a full disk, told by the command: one line, and the old file is whole."""
    target, out = tmp_path / "target.json", tmp_path / "out.json"
    recording = record_target(StaticTarget(functions=["int f(int a)"]))
    from bpfprobe.pipeline import describe
    from bpfprobe.probes import probe

    describe([probe("kprobe:f a")], recording)
    recording.write(target)
    out.write_bytes(b"old")
    script = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "from bpfprobe.cli.main import main;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64)); main(sys.argv[1:])"
    )
    words = [*command.split(), str(out), "--target", str(target), "kprobe:f a"]
    if words[0] == "check":
        words = ["check", "kprobe:f a", *words[1:-1]]
    done = subprocess.run(
        [sys.executable, "-B", "-c", script, *words], capture_output=True, text=True
    )
    assert done.stderr == f"bpfprobe: {out} cannot be written: File too large [NO_OUTPUT]\n"
    assert done.returncode == 1
    assert out.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.json", "target.json"]


@pytest.mark.parametrize("name", ["", "nowhere/out", "a\0b", "x" * 300])
def test_places_where_nothing_can_be(name: str, tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="cannot be written") as caught:
        write_whole(f"{tmp_path}/{name}", b"new")
    assert caught.value.code == "NO_OUTPUT"
    assert list(tmp_path.iterdir()) == []


def test_the_mode_is_the_users(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        whole(tmp_path / "out")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o640
