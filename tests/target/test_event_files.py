from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from bpfprobe.errors import PrivilegeError, TargetError
from bpfprobe.target.event_files import EventFiles
from tests.tracing_root import KPROBES, TRACEFS, UPROBES, make_root, write

if TYPE_CHECKING:
    from pathlib import Path

    from bpfprobe.model.defined import DefinedEvent


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_root(tmp_path)


def event_of(root: Path, name: str) -> DefinedEvent:
    return next(e for e in EventFiles(root).defined() if str(e) == name)


def test_all_files_are_read_and_nothing_twice(root: Path) -> None:
    events = EventFiles(root).defined()
    assert [f"{e.file}: {e}" for e in events] == [
        "kprobe_events: kprobes/r_vfs_read_bcc_99",
        "kprobe_events: kprobes/p_vfs_open_bcc_100",
        "kprobe_events: my/ev",
        "kprobe_events: probe/vfs_write",
        "kprobe_events: kprobes/libbpf_99_0_vfs_open_0x0",
        "uprobe_events: uprobes/p__bin_sh_0x5000_bcc_99",
        "uprobe_events: sdt_libc/setjmp",
        "dynamic_events: eprobes/e1",
        "dynamic_events: synthetic/wake",
        "dynamic_events: fprobes/f1",
    ]
    assert [e.enabled for e in events[:4]] == [False, None, True, False]
    assert (events[2].hits, events[6].hits) == (23, 5)
    registered = EventFiles(root).registered()
    assert registered is not None
    assert len(registered) == 5


def test_a_kernel_with_uprobes_alone(root: Path) -> None:
    for name in ("kprobe_events", "kprobe_profile", "dynamic_events"):
        (root / TRACEFS / name).unlink()
    (root / "sys/kernel/debug/kprobes/list").unlink()
    assert [e.group for e in EventFiles(root).defined()] == ["uprobes", "sdt_libc"]
    assert EventFiles(root).registered() is None


@pytest.mark.parametrize("name", ["kprobes/r_vfs_read_bcc_99", "uprobes/p__bin_sh_0x5000_bcc_99"])
def test_a_removal_is_a_line_at_the_end(root: Path, name: str) -> None:
    event = event_of(root, name)
    EventFiles(root).remove(event)
    before = {"kprobe_events": KPROBES, "uprobe_events": UPROBES}
    for file, text in before.items():
        added = f"-:{name}\n" if file == event.file else ""
        assert (root / TRACEFS / file).read_text() == text + added


def test_an_event_that_has_changed_is_left_alone(root: Path) -> None:
    event = event_of(root, "my/ev")
    now = KPROBES.replace("vfs_read+16", "vfs_read+20")
    write(root / TRACEFS / "kprobe_events", now)
    with pytest.raises(TargetError, match="no longer there as it was") as caught:
        EventFiles(root).remove(event)
    assert caught.value.code == "EVENT_GONE"
    assert (root / TRACEFS / "kprobe_events").read_text() == now


class Refusing:
    """Stands for write(2) and refuses the first lines that begin with ``-:``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, number: int, times: int) -> None:
        self.written: list[bytes] = []
        self._left, self._number, self._write = times, number, os.write
        monkeypatch.setattr("bpfprobe.target.event_files.os.write", self)

    def __call__(self, file: int, data: bytes) -> int:
        self.written.append(data)
        if data.startswith(b"-:") and self._left:
            self._left -= 1
            raise OSError(self._number, os.strerror(self._number))
        return self._write(file, data)


def test_a_busy_event_that_is_enabled_is_disabled_first(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = event_of(root, "my/ev")
    refusing = Refusing(monkeypatch, errno.EBUSY, 1)
    EventFiles(root).remove(event)
    assert refusing.written == [b"-:my/ev\n", b"0\n", b"-:my/ev\n"]


@pytest.mark.parametrize(
    ("name", "number", "times", "kind", "code"),
    [
        ("my/ev", errno.EBUSY, 2, TargetError, "EVENT_BUSY"),
        ("kprobes/r_vfs_read_bcc_99", errno.EBUSY, 1, TargetError, "EVENT_BUSY"),
        ("my/ev", errno.ENOENT, 1, TargetError, "EVENT_GONE"),
        ("my/ev", errno.EPERM, 1, PrivilegeError, "PRIVILEGE"),
        ("my/ev", errno.EINVAL, 1, TargetError, "NO_REMOVE"),
    ],
)
def test_why_the_kernel_keeps_it(
    root: Path, monkeypatch: pytest.MonkeyPatch, name: str, number: int, times: int,
    kind: type[TargetError], code: str,
) -> None:  # fmt: skip
    event = event_of(root, name)
    Refusing(monkeypatch, number, times)
    with pytest.raises(kind) as caught:
        EventFiles(root).remove(event)
    assert caught.value.code == code
    assert caught.value.hint or code == "EVENT_GONE"


def test_without_tracefs(tmp_path: Path) -> None:
    write(tmp_path / "proc/mounts", "proc /proc proc rw 0 0\n")
    with pytest.raises(TargetError) as caught:
        EventFiles(tmp_path).defined()
    assert caught.value.code == "NO_TRACEFS"
    assert "mount -t tracefs" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.EACCES, PrivilegeError), (errno.EIO, TargetError)]
)
def test_files_that_cannot_be_read(
    root: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[Exception]
) -> None:
    from bpfprobe.target.files import Files, Reading

    read = Files.read

    def refused(files: Files, path: str, most: int = -1) -> Reading:
        return Reading(path, None, number) if path.endswith("_events") else read(files, path, most)

    monkeypatch.setattr(Files, "read", refused)
    with pytest.raises(kind, match="kprobe_events"):
        EventFiles(root).defined()


def test_when_an_event_was_made(root: Path) -> None:
    files = EventFiles(root)
    event = event_of(root, "kprobes/r_vfs_read_bcc_99")
    directory = root / TRACEFS / "events" / str(event)
    assert files.made_at(event) == directory.stat().st_ctime
    assert files.made_at(event_of(root, "eprobes/e1")) is None
