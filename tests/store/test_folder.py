from __future__ import annotations

import multiprocessing
import os
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bpfprobe.store import folder as module
from bpfprobe.store.folder import Folder, FolderError, folder_path, open_folder, opened_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give files away")


@pytest.fixture
def folder(place: Path) -> Iterator[Folder]:
    made = open_folder(make=True)
    assert made is not None
    yield made
    made.close()


def test_it_is_made_closed_to_others(folder: Folder, place: Path) -> None:
    assert folder.path == str(place.resolve())
    assert [oct(path.stat().st_mode & 0o777) for path in (place, place.parent)] == ["0o700"] * 2


def test_what_was_written_is_read(folder: Folder, place: Path) -> None:
    assert folder.write("a", b"first")
    assert folder.write("a", b"second")
    assert folder.read("a") == b"second"
    assert folder.has("a")
    assert oct((place / "a").stat().st_mode & 0o777) == "0o600"
    assert [path.name for path in place.iterdir()] == ["a"]
    assert not folder.has("b")
    assert folder.read("b") is None


@pytest.mark.parametrize(
    ("variable", "value", "euid", "path"),
    [
        ("BPFPROBE_CACHE", "off", 0, None),
        ("BPFPROBE_CACHE", "/some/where", 7, "/some/where/objects"),
        ("XDG_CACHE_HOME", "/x", 0, "/var/cache/bpfprobe/objects"),
        ("XDG_CACHE_HOME", "/x", 7, "/x/bpfprobe/objects"),
        ("XDG_CACHE_HOME", "relative", 7, "/home/me/.cache/bpfprobe/objects"),
        ("HOME", "/home/me", 7, "/home/me/.cache/bpfprobe/objects"),
    ],
)
def test_where(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, euid: int, path: str | None
) -> None:
    for name in ("BPFPROBE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv(variable, value)
    monkeypatch.setattr(os, "geteuid", lambda: euid)
    assert folder_path() == path


def spoil_writable(place: Path) -> None:
    place.chmod(0o722)


def spoil_readable(place: Path) -> None:
    place.chmod(0o750)


def spoil_owner(place: Path) -> None:
    os.chown(place, 12345, 0)


def spoil_link(place: Path) -> None:
    place.rename(place.with_name("real"))
    place.symlink_to("real")


def spoil_parent(place: Path) -> None:
    place.parent.chmod(0o777)


def spoil_parents_owner(place: Path) -> None:
    os.chown(place.parent, 12345, 0)


def spoil_kind(place: Path) -> None:
    place.rmdir()
    place.write_text("")


def spoil_gone(place: Path) -> None:
    place.rmdir()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (spoil_writable, "is open to others .mode 722"),
        (spoil_readable, "is open to others .mode 750"),
        pytest.param(spoil_owner, "belongs to user 12345, not to 0", marks=needs_root),
        pytest.param(spoil_parents_owner, " belongs to user 12345$", marks=needs_root),
        (spoil_link, "symbolic links|Not a directory"),
        (spoil_parent, "others can rename what is in"),
        (spoil_kind, "Not a directory"),
        (spoil_gone, "No such file"),
    ],
)
def test_a_folder_that_others_could_have_written_is_not_used(
    place: Path, spoil: object, reason: str
) -> None:
    with opened_folder(make=True) as made:
        assert made is not None
    spoil(place)  # type: ignore[operator]
    with pytest.raises((FolderError, OSError), match=reason):
        open_folder()
    with opened_folder() as found:
        assert found is None


def test_a_sticky_parent_will_do(place: Path) -> None:
    place.parent.mkdir(mode=0o700)
    place.parent.chmod(0o1777)
    with opened_folder(make=True) as made:
        assert made is not None


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda path: path.chmod(0o622), "open to others .mode 622"),
        (lambda path: path.chmod(0o640), "open to others .mode 640"),
        (lambda path: (path.unlink(), path.symlink_to("/etc/hostname")), "symbolic links"),
        (lambda path: (path.unlink(), os.mkfifo(path, 0o600)), "not a regular file"),
        (lambda path: (path.unlink(), path.mkdir(0o700)), "not a regular file"),
        (lambda path: os.truncate(path, module.MAX_FILE_BYTES + 1), "more than any object has"),
        pytest.param(
            lambda path: os.chown(path, 12345, 0), "belongs to user 12345", marks=needs_root
        ),
        (lambda path: path.unlink(), "No such file"),
    ],
    ids=["writable", "readable", "link", "fifo", "folder", "huge", "owner", "gone"],
)
def test_a_file_that_others_could_have_written_is_not_read(
    folder: Folder, place: Path, spoil: object, reason: str
) -> None:
    folder.write("a", b"good")
    spoil(place / "a")  # type: ignore[operator]
    assert folder.read("a") is None
    assert not folder.has("a")
    data, problem = folder.examine("a")
    assert data is None
    assert re.search(reason, problem)


def test_the_ones_used_longest_ago_go_first(
    folder: Folder, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_FILES", 7)
    for number in range(7):
        folder.write(f"f{number}", bytes(10))
        os.utime(place / f"f{number}", (number, number))
    assert folder.read("f0") == bytes(10)  # used now
    folder.write("more", b"")
    assert {entry.name for entry in folder.entries()} == {
        "f0", "f2", "f3", "f4", "f5", "f6", "more",
    }  # fmt: skip
    monkeypatch.setattr(module, "MAX_BYTES", 35)
    folder.write("last", bytes(10))
    assert sum(entry.size for entry in folder.entries()) <= 35
    assert folder.read("last") == bytes(10)
    assert folder.clear() == len({"f0", "f6", "more", "last"})
    assert folder.entries() == []


def test_what_a_killed_process_left_half_written_goes_in_the_end(
    folder: Folder, place: Path
) -> None:
    for name, age_s in ((".1-old", 7200), (".1-now", 5)):
        (place / name).write_bytes(b"half")
        os.utime(place / name, times=(0, place.stat().st_mtime - age_s))
    folder.write("a", b"")
    assert sorted(path.name for path in place.iterdir()) == [".1-now", "a"]
    assert [entry.name for entry in folder.entries()] == ["a"]


def write_many(place: str, mark: int) -> None:
    os.environ["BPFPROBE_CACHE"] = str(Path(place).parent)
    with opened_folder(make=True) as folder:
        assert folder is not None
        for _ in range(211):
            assert folder.write("shared", bytes([mark]) * 10007)


def test_two_writers_at_once_leave_a_whole_file(place: Path) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=write_many, args=(str(place), mark)) for mark in (1, 2)]
    for writer in writers:
        writer.start()
    seen = set()
    while any(writer.is_alive() for writer in writers):
        with opened_folder() as folder:
            seen.add(folder.read("shared") if folder else None)
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    assert seen <= {None, bytes([1]) * 10007, bytes([2]) * 10007}
    assert [path.name for path in place.iterdir()] == ["shared"]


def test_a_file_that_does_not_fit_is_not_there(place: Path) -> None:
    code = f"""
import os, resource
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
from bpfprobe.store.folder import opened_folder
with opened_folder(make=True) as folder:
    assert folder.write("small", bytes(4096))
    assert not folder.write("large", bytes(4097))
    assert [entry.name for entry in folder.entries()] == ["small"]
    assert os.listdir({str(place)!r}) == ["small"]
"""
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        cwd=Path(__file__).parents[2],
        env=dict(os.environ),
    )
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 4096


def test_nothing_is_written_that_could_not_be_read(folder: Folder) -> None:
    assert not folder.write("huge", bytes(module.MAX_FILE_BYTES + 1))
    assert not folder.write("no/such/folder", b"")
    assert folder.entries() == []


def test_a_place_that_cannot_be_made_is_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BPFPROBE_CACHE", "/proc/no/cache")
    with opened_folder(make=True) as folder:
        assert folder is None
    monkeypatch.setenv("BPFPROBE_CACHE", "off")
    assert open_folder(make=True) is None
