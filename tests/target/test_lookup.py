from __future__ import annotations

import os
import socket
import struct
from typing import TYPE_CHECKING

import pytest

from bpfprobe.errors import TargetError
from bpfprobe.target import lookup
from bpfprobe.target.procmaps import read_mappings

if TYPE_CHECKING:
    from pathlib import Path


def make_cache(entries: list[tuple[int, str, str]], old: bytes = b"") -> bytes:
    """An ld.so.cache with (flags, soname, path)."""
    strings, table = b"", b""
    start = 48 + 24 * len(entries)
    for flags, key, value in entries:
        at = start + len(strings)
        table += struct.pack("=iIIIQ", flags, at, at + len(key) + 1, 0, 0)
        strings += key.encode() + b"\0" + value.encode() + b"\0"
    head = b"glibc-ld.so.cache1.1" + struct.pack("=II", len(entries), len(strings)) + bytes(20)
    return old + head + table + strings


CACHE = make_cache(
    [
        (0x0303, "libssl.so.1.1", "/lib/libssl.so.1.1"),
        (0x0303, "libssl.so.3", "/lib/libssl.so.3"),
        (0x0303, "libssl.so", "/lib/libssl.so"),
        (0x0003, "libc.so.6", "/lib32/libc.so.6"),
        (0x0303, "libc.so.6", "/lib/libc.so.6"),
        (0x0303, "libcap.so.2", "/lib/libcap.so.2"),
    ]
)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("c", ["/lib/libc.so.6"]),
        ("libc", ["/lib/libc.so.6"]),
        ("libc.so", ["/lib/libc.so.6"]),
        ("libc.so.6", ["/lib/libc.so.6"]),
        ("ssl", ["/lib/libssl.so.3", "/lib/libssl.so.1.1", "/lib/libssl.so"]),
        ("libssl.so.1.1", ["/lib/libssl.so.1.1"]),
        ("libssl.so", ["/lib/libssl.so"]),
    ],
)
def test_a_library_by_its_names(name: str, found: list[str]) -> None:
    assert list(lookup.library_paths(name, lookup.read_library_cache(CACHE, "x86_64"))) == found


def test_without_a_cache_the_usual_directories_are_looked_at() -> None:
    assert "/lib/libc.so" in list(lookup.library_paths("c", ()))


@pytest.mark.parametrize("length", [0, 10, 30, 47, 60, 100, 200])
def test_a_cut_cache_gives_what_it_has(length: int) -> None:
    list(lookup.read_library_cache(CACHE[:length], "x86_64"))


def test_a_cache_behind_the_old_format() -> None:
    cache = make_cache([(0x0303, "libm.so.6", "/lib/libm.so.6")], old=b"ld.so-1.7.0" + bytes(13))
    assert list(lookup.read_library_cache(cache)) == [("libm.so.6", "/lib/libm.so.6")]


def test_links_are_resolved_against_the_root_of_the_process(tmp_path: Path) -> None:
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin/app").write_text("app")
    (tmp_path / "bin").symlink_to("/usr/bin")
    (tmp_path / "usr/bin/absolute").symlink_to("/bin/app")
    (tmp_path / "usr/bin/relative").symlink_to("../../../../usr/bin/app")
    for path in ("/bin/absolute", "/bin/relative", "/bin/../bin/app", "/usr/bin/./app"):
        assert lookup.under(tmp_path, path) == tmp_path / "usr/bin/app"


def test_a_loop_of_links_ends(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("/b")
    (tmp_path / "b").symlink_to("/a")
    with pytest.raises(TargetError) as caught:
        lookup.under(tmp_path, "/a")
    assert caught.value.code == "LINK_LOOP"


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("nothing", "NO_FILE"),
        ("under a file", "NO_FILE"),
        ("long", "NO_FILE"),
        ("directory", "NOT_REGULAR"),
        ("fifo", "NOT_REGULAR"),
        ("socket", "NOT_REGULAR"),
        ("device", "NOT_REGULAR"),
        ("loop", "LINK_LOOP"),
    ],
)
def test_what_cannot_be_opened(tmp_path: Path, kind: str, code: str) -> None:
    path = tmp_path / "x"
    match kind:
        case "under a file":
            path.write_text("")
            path = path / "y"
        case "long":
            path = tmp_path / ("x" * 300)
        case "directory":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
        case "socket":
            with socket.socket(socket.AF_UNIX) as unix:
                unix.bind(str(path))
        case "device":
            path.symlink_to("/dev/zero")
        case "loop":
            path.symlink_to(path)
    with pytest.raises(TargetError) as caught:
        os.close(lookup.open_regular(path, str(path)))
    assert caught.value.code == code


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_of_someone_else(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("")
    path.chmod(0)
    with pytest.raises(TargetError) as caught:
        lookup.open_regular(path, str(path))
    assert caught.value.code == "NO_ACCESS"


def test_mappings() -> None:
    lines = [
        "55d0-55d2 r--p 00000000 fe:00 131 /usr/bin/bash",
        "55d2-55d4 r-xp 00002000 fe:00 131    /usr/bin/bash",
        "7f00-7f01 r-xp 00000000 00:2f 9 /tmp/with space (deleted)",
        "7f02-7f03 rw-p 00000000 00:00 0 ",
        "7f04-7f05 rw-p 00000000 00:00 0 [heap]",
        "nonsense",
    ]
    first, second, third = read_mappings(lines)
    assert (first.executable, second.executable) == (False, True)
    assert (second.start, second.end, second.offset, second.inode) == (0x55D2, 0x55D4, 0x2000, 131)
    assert second.device == os.makedev(0xFE, 0)
    assert (third.path, third.is_deleted) == ("/tmp/with space", True)
