"""A folder is trusted by every folder on the way to it, and nothing is made where one is not."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bpfprobe.lab.cache import Cache
from bpfprobe.lab.errors import LabUnavailable
from bpfprobe.store.folder import opened_folder
from bpfprobe.trust import UntrustedError, open_trusted, trusted_path

if TYPE_CHECKING:
    from collections.abc import Callable

ALICE = 12345
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be another user")


def theirs(tmp_path: Path) -> Path:
    """A folder of another user."""
    folder = tmp_path / "alice"
    folder.mkdir()
    os.chown(folder, ALICE, ALICE)
    return folder / "cache"


def through_their_link(tmp_path: Path) -> Path:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    os.chown(tmp_path / "link", ALICE, ALICE, follow_symlinks=False)
    return tmp_path / "link" / "cache"


def through_a_link_in_their_folder(tmp_path: Path) -> Path:
    (tmp_path / "real").mkdir()
    theirs(tmp_path).symlink_to(tmp_path / "real")
    return tmp_path / "alice" / "cache" / "deeper"


def our_link_to_theirs(tmp_path: Path) -> Path:
    folder = theirs(tmp_path).parent
    (tmp_path / "ours").symlink_to(folder)
    return tmp_path / "ours" / "cache"


def writable(tmp_path: Path) -> Path:
    folder = tmp_path / "all"
    folder.mkdir()
    folder.chmod(0o777)
    return folder / "cache"


def writable_by_a_group(tmp_path: Path) -> Path:
    folder = tmp_path / "group"
    folder.mkdir()
    folder.chmod(0o775)
    return folder / "cache"


def back_from_theirs(tmp_path: Path) -> Path:
    (tmp_path / "link").symlink_to(theirs(tmp_path).parent / ".." / "real")
    return tmp_path / "link" / "cache"


PLACES = pytest.mark.parametrize(
    "place",
    [
        theirs,
        through_their_link,
        through_a_link_in_their_folder,
        our_link_to_theirs,
        writable,
        writable_by_a_group,
        back_from_theirs,
    ],
)


def everything(tmp_path: Path) -> list[Path]:
    return sorted(tmp_path.rglob("*"))


@PLACES
def test_nothing_is_made_there(
    place: Callable[[Path], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = place(tmp_path)
    before = everything(tmp_path)
    monkeypatch.setenv("BPFPROBE_CACHE", str(path))
    with opened_folder(make=True) as folder:
        assert folder is None
    with pytest.raises(LabUnavailable, match=r"belongs to user 12345|others can rename"):
        Cache.default().directory("records")
    with pytest.raises(UntrustedError):
        open_trusted(str(path / "a" / "b"), make=True)
    assert everything(tmp_path) == before


def sticky(tmp_path: Path) -> Path:
    folder = tmp_path / "sticky"
    folder.mkdir()
    folder.chmod(0o1777)
    return folder / "cache"


def our_link(tmp_path: Path) -> Path:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    return tmp_path / "link" / "cache"


def a_link_upwards(tmp_path: Path) -> Path:
    (tmp_path / "real" / "deep").mkdir(parents=True)
    (tmp_path / "real" / "deep" / "link").symlink_to("../../real")
    return tmp_path / "real" / "deep" / "link" / "cache"


@pytest.mark.parametrize("place", [sticky, our_link, a_link_upwards])
def test_what_can_be_trusted_is_made_and_found_again(
    place: Callable[[Path], Path], tmp_path: Path
) -> None:
    path = place(tmp_path)
    fd, real = open_trusted(str(path), make=True)
    assert (real, os.fstat(fd).st_mode & 0o777) == (str(path.resolve()), 0o700)
    os.close(fd)
    fd, again = open_trusted(str(path))
    assert again == real
    os.close(fd)


def descriptors() -> list[str]:
    return sorted(path.name for path in Path("/proc/self/fd").iterdir())


def test_a_loop_of_links_ends(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    before = descriptors()
    with pytest.raises(OSError, match="Too many levels"):
        open_trusted(str(tmp_path / "a"), make=True)
    assert descriptors() == before


def test_others_put_no_program_into_roots_path(tmp_path: Path) -> None:
    folders = [place(tmp_path / str(number)) for number, place in numbered(tmp_path)]
    given = ":".join([*map(str, folders), "", "/usr/bin", ".", "/bin"])
    assert trusted_path(given) == "/usr/bin:/bin"


def numbered(tmp_path: Path) -> list[tuple[int, Callable[[Path], Path]]]:
    places = [theirs, through_their_link, our_link_to_theirs, writable]
    for number in range(len(places)):
        (tmp_path / str(number)).mkdir()
    return list(enumerate(places))
