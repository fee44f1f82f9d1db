from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from bpfprobe.lab.cache import Cache, default_root, keep_newest, touched
from bpfprobe.lab.errors import LabUnavailable


@pytest.mark.parametrize(
    ("environ", "euid", "expected"),
    [
        ({}, 0, "/var/cache/bpfprobe/lab"),
        ({"HOME": "/home/u"}, 1000, "/home/u/.cache/bpfprobe/lab"),
        ({"HOME": "/home/u", "XDG_CACHE_HOME": "/x"}, 1000, "/x/bpfprobe/lab"),
        ({"BPFPROBE_CACHE": "/c"}, 0, "/c/lab"),
        ({"BPFPROBE_CACHE": "off"}, 0, "/var/cache/bpfprobe/lab"),
        ({"BPFPROBE_CACHE": "/c", "XDG_CACHE_HOME": "/x"}, 1000, "/c/lab"),
    ],
)
def test_where_the_cache_is(environ, euid, expected):
    assert default_root(environ, euid) == Path(expected)


def test_directories_are_private(tmp_path):
    made = Cache(tmp_path / "lab").directory("one", "two")
    for path in (made, made.parent, made.parent.parent):
        assert path.stat().st_mode & 0o777 == 0o700


def test_a_file_in_the_way_is_explained(tmp_path):
    (tmp_path / "lab").touch()
    with pytest.raises(LabUnavailable, match="cannot be used"):
        Cache(tmp_path / "lab").directory()


def test_a_build_that_fails_leaves_nothing(tmp_path):
    cache = Cache(tmp_path / "lab")
    target = cache.directory("things") / "thing"

    def fail_half_way():
        with cache.building(target) as scratch:
            (scratch / "part").touch()
            raise ValueError("half way")

    with pytest.raises(ValueError, match="half way"):
        fail_half_way()
    assert list(target.parent.iterdir()) == []
    with cache.building(target) as scratch:
        (scratch / "whole").touch()
    assert [path.name for path in target.iterdir()] == ["whole"]


def test_a_lock_is_held_by_one(tmp_path):
    cache = Cache(tmp_path / "lab")
    order = []

    def enter(name):
        with cache.lock("it"):
            order.append(name)
            time.sleep(0.05)
            order.append(name)

    threads = [threading.Thread(target=enter, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert order[0::2] == order[1::2]


def test_records_come_back_and_damaged_ones_do_not(tmp_path):
    cache = Cache(tmp_path / "lab")
    assert cache.record("kernel") is None
    cache.write_record("kernel", {"release": "6.1"})
    assert cache.record("kernel") == {"release": "6.1"}
    (cache.directory("records") / "kernel.json").write_text("{")
    assert cache.record("kernel") is None


def test_what_is_old_and_surplus_is_removed(tmp_path):
    paths = [tmp_path / str(age) for age in (0, 10, 20, 30)]
    for path in paths:
        path.touch()
        os.utime(path, (1000 - int(path.name),) * 2)
    assert keep_newest(paths, keep=1, idle_s=15, now=1000) == paths[2:]
    assert keep_newest(paths, keep=4, idle_s=0, now=1000) == []


def test_what_another_process_removes_meanwhile_is_no_error(tmp_path):
    class Going(type(tmp_path)):
        def stat(self, **options):
            found = super().stat(**options)
            self.unlink()
            return found

    going = Going(tmp_path / "going")
    going.touch()
    surplus = keep_newest([going, tmp_path / "gone"], keep=0, idle_s=0, now=time.time() + 1)
    assert surplus == [going]
    Cache(tmp_path / "lab").prune(surplus)


def test_what_is_there_counts_as_just_used(tmp_path):
    path = tmp_path / "image"
    assert not touched(path)
    path.touch()
    os.utime(path, (1000, 1000))
    assert touched(path)
    assert path.stat().st_mtime > 1000
