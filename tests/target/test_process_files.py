"""Files that processes map, on this process."""

from __future__ import annotations

import errno
import inspect
import os
import sys
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from bpfprobe.errors import TargetError
from bpfprobe.model.mapping import FileKey, Mapped, Mapping
from bpfprobe.target import Target
from bpfprobe.target.live import LiveTarget
from bpfprobe.target.process_files import _OF_A_FILE, LiveProcessFiles

if TYPE_CHECKING:
    from pathlib import Path

FILES = LiveProcessFiles()
ME = os.getpid()
PYTHON = os.path.realpath(sys.executable)
GONE = 1 << 22  # above the largest process id


def python() -> Mapped:
    return next(one for one in FILES.mapped(ME) if one.mapping.path == PYTHON)


def seen(pid: int, path: str) -> Mapped:
    return Mapped(pid, Mapping(0, 0, True, 0, 0, 0, path))


def test_processes_and_threads() -> None:
    parents = FILES.parents()
    assert parents[ME] == os.getppid()
    assert GONE not in parents
    assert threading.get_native_id() in FILES.threads(ME)
    assert FILES.threads(GONE) == set()


def test_code_that_is_mapped() -> None:
    status = os.stat(PYTHON)  # noqa: PTH116  # its numbers are all that is wanted
    assert python().mapping.file == FileKey(status.st_dev, status.st_ino) == FILES.key(PYTHON)
    assert FILES.mapped(GONE) == []
    assert FILES.key("/no/such/file") is None


def test_it_is_opened_whatever_its_name_has_become() -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    opened = FILES.open(python())
    assert opened.key == FILES.key(PYTHON)
    assert os.path.samefile(opened.path, PYTHON)  # noqa: PTH121
    target = FILES.target(LiveTarget(), opened)
    binary = target.binary("/any/name", GONE)
    assert binary.path == opened.path
    assert target.process_maps_binary(GONE, binary)
    assert target.facts() == LiveTarget().facts()
    opened.close()
    elsewhere = Mapped(GONE, python().mapping)
    FILES.open(elsewhere).close()
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_another_file_at_the_path_is_not_it() -> None:
    other = replace(python().mapping, inode=python().mapping.inode + 1)
    with pytest.raises(TargetError) as caught:
        FILES.open(Mapped(GONE, other))
    assert caught.value.code == "FILE_GONE"


@pytest.mark.parametrize(
    ("name", "found", "fits", "not_this"),
    [
        ("/opt/a.so", None, ["/opt/a.so"], ["/a.so", "/opt/a.so.1"]),
        ("c", "/lib/libc.so.6", ["/lib/libc.so.6", "/x/libc-2.31.so"], ["/bin/c", "/x/libcap.so"]),
        ("sh", "/bin/sh", ["/bin/sh", "/opt/bin/sh"], ["/x/libsh.so", "/bin/bash"]),
        ("a+b", None, ["/opt/liba+b.so.3", "/bin/a+b"], ["/opt/libaab.so"]),
    ],
)
def test_what_a_name_means(
    name: str, found: str | None, fits: list[str], not_this: list[str]
) -> None:
    wanted = FILES.wanted(name, None, found)
    assert [path for path in [*fits, *not_this] if wanted.fits(path)] == fits


def test_a_relative_path_and_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, link = tmp_path / "real.so", tmp_path / "link.so"
    real.touch()
    link.symlink_to(real)
    monkeypatch.chdir(tmp_path)
    for pid in (None, ME):
        wanted = FILES.wanted("./link.so", pid, None)
        assert wanted.paths == (str(link), str(real))
        assert FILES.leads_to(wanted, seen(ME, str(real)))
        assert not FILES.leads_to(wanted, seen(ME, PYTHON))
        assert not FILES.leads_to(wanted, seen(GONE, str(real)))
    with pytest.raises(TargetError) as caught:
        FILES.wanted("./link.so", GONE, None)
    assert caught.value.code == "NO_PROCESS"


def test_every_question_about_a_file_goes_to_the_file() -> None:
    asked = {
        name
        for name, method in vars(Target).items()
        if inspect.isfunction(method) and "binary" in inspect.signature(method).parameters
    }
    assert asked == _OF_A_FILE | {"process_maps_binary"}


def test_what_we_have_too_little_of_says_nothing_of_a_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No process has ended for want of descriptors."""
    mapped = python()

    def refuse(*_: Any, **__: Any) -> Any:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    for module, name in (("builtins", "open"), ("os", "open"), ("os", "listdir")):
        monkeypatch.setattr(f"{module}.{name}", refuse)
    questions = (
        FILES.parents,
        lambda: FILES.threads(ME),
        lambda: FILES.mapped(ME),
        lambda: FILES.open(mapped),
    )
    for ask in questions:
        with pytest.raises(TargetError, match="Too many open files") as error:
            ask()
        assert error.value.code == "NO_ACCESS"
