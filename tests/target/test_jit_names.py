"""Names that programs write down for code that they made."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from bpfprobe.deliver.message import location_text
from bpfprobe.model.mapping import Executed, Mapped, Mapping, ProcessRecord
from bpfprobe.model.symbol import Location
from bpfprobe.target import jit_names
from bpfprobe.target.files import Files
from bpfprobe.target.jit_names import MAX_PROCESSES, JitNames, may_be_made
from bpfprobe.target.perf_map import Made, PerfMap
from bpfprobe.target.symbolizer import LiveSymbolizer
from tests.bounded import bounded

if TYPE_CHECKING:
    from pathlib import Path

TEXT = b"""\
1000 20 first
0x1020 0x10 LazyCompile:~handle /srv/app.js:17
1040 0 nothing
1000 8 made anew
# a remark
1100 zz no number
1200 10
112233445566778899 10 too long
ffffffffffffff00 100 last
"""


@pytest.mark.parametrize(
    ("address", "found"),
    [
        (0xFFF, None),
        (0x1000, Made(0x1000, 8, "made anew")),
        (0x1008, Made(0x1000, 0x20, "first")),
        (0x101F, Made(0x1000, 0x20, "first")),
        (0x102F, Made(0x1020, 0x10, "LazyCompile:~handle /srv/app.js:17")),
        (0x1030, None),
        (0x1040, None),
        (0x1200, None),
        (0xFFFFFFFFFFFFFFFF, Made(0xFFFFFFFFFFFFFF00, 0x100, "last")),
    ],
)
def test_lines(address: int, found: Made | None) -> None:
    names = PerfMap()
    names.add(TEXT)
    assert names.at(address) == found


def test_the_line_that_came_last_counts() -> None:
    names = PerfMap()
    names.add(b"1000 100 old\n1050 10 inner\n")
    assert names.at(0x1055) == Made(0x1050, 0x10, "inner")
    names.add(b"1000 100 new\n")
    assert names.at(0x1055) == Made(0x1000, 0x100, "new")
    assert PerfMap().at(0) is None


def test_bytes_that_are_no_text() -> None:
    names = PerfMap()
    names.add(b"10 10 \xff\x1b[31m\r\n")
    found = names.at(0x10)
    assert found == Made(0x10, 0x10, "\udcff\x1b[31m")
    assert location_text(Location(found.name, 0)) == "\\xff\\x1b[31m+0x0 [kernel]"


class Machine:
    """A root directory with processes that wrote such files."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "tmp").mkdir()
        self.names = JitNames(Files(root))

    def lives(self, pid: int, own_pid: int | None = None, user: int | None = None) -> None:
        """Since this machine's boot."""
        folder = self.root / "proc" / str(pid)
        folder.mkdir(parents=True, exist_ok=True)
        uid = os.geteuid() if user is None else user
        ids = f"NSpid:\t{pid}\t{own_pid}\n" if own_pid else f"NSpid:\t{pid}\n"
        (folder / "status").write_text(f"Name:\tnode\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\n{ids}")
        self.started(pid, 0)
        if not (folder / "root").is_symlink():
            (folder / "root").symlink_to(self.root)

    def started(self, pid: int, ticks: int) -> None:
        (self.root / "proc" / str(pid) / "stat").write_text(f"{pid} (no) S {'0 ' * 18}{ticks} 0\n")

    def ends(self, pid: int) -> None:
        for name in ("status", "stat", "root"):
            (self.root / "proc" / str(pid) / name).unlink()

    def writes(self, pid: int, text: str) -> Path:
        path = self.root / "tmp" / f"perf-{pid}.map"
        with path.open("a") as file:
            file.write(text)
        return path

    def name(self, pid: int, address: int) -> str:
        found = self.names.at(pid, address)
        return found.name if found else ""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setattr(jit_names, "_LOOK_S", 0)
    return Machine(tmp_path)


def test_a_file_that_grows(machine: Machine) -> None:
    machine.lives(7)
    assert machine.name(7, 0x1000) == ""
    machine.writes(7, "1000 10 one\n2000 10 tw")
    assert [machine.name(7, at) for at in (0x1000, 0x2000)] == ["one", ""]
    machine.writes(7, "o\n1000 10 another\n")
    assert [machine.name(7, at) for at in (0x1000, 0x2000)] == ["another", "two"]
    machine.ends(7)
    machine.writes(7, "3000 10 at the end\n")
    assert [machine.name(7, at) for at in (0x2000, 0x3000)] == ["two", "at the end"]
    assert machine.names.at(7, 0x2004) == Location("two", 4, 16, "/tmp/perf-7.map")


def test_in_a_pid_namespace_and_a_root_directory_of_its_own(machine: Machine) -> None:
    own = machine.root / "container"
    (own / "tmp").mkdir(parents=True)
    (own / "tmp" / "perf-1.map").write_text("1000 10 inside\n")
    machine.writes(1, "1000 10 outside\n")
    machine.writes(70, "1000 10 by another number\n")
    machine.lives(70, own_pid=1)
    (machine.root / "proc" / "70" / "root").unlink()
    (machine.root / "proc" / "70" / "root").symlink_to(own)
    found = machine.names.at(70, 0x1001)
    assert found == Location("inside", 1, 16, "/tmp/perf-1.map")
    assert location_text(found) == "inside+0x1 [perf-1.map]"


def test_what_is_there_is_looked_at_again_only_now_and_then(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for an address without a name, where there are names."""
    monkeypatch.setattr(jit_names, "_LOOK_S", 1e9)
    machine.lives(7)
    assert machine.name(7, 0x1000) == ""
    machine.writes(7, "1000 10 one\n")
    machine.names._looked_s.clear()
    assert machine.name(7, 0x1000) == "one"
    machine.writes(7, "2000 10 two\n")
    assert machine.name(7, 0x2000) == "two"
    with bounded(calls=400, peak_bytes=1 << 16):
        names = [machine.name(7, 0x2000) for _ in range(10)]
    assert names == ["two"] * 10


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give files to others")
@pytest.mark.parametrize(
    ("owner", "user", "name"), [(5, 5, "one"), (0, 5, "one"), (6, 5, ""), (5, 0, "")]
)
def test_a_file_of_another_user_is_not_read(
    machine: Machine, owner: int, user: int, name: str
) -> None:
    machine.lives(7, user=user)
    os.chown(machine.writes(7, "1000 10 one\n"), owner, owner)
    assert machine.name(7, 0x1000) == name


@pytest.mark.parametrize("kind", ["link", "fifo", "folder"])
def test_what_is_no_regular_file_is_not_opened(machine: Machine, kind: str) -> None:
    machine.lives(7)
    path = machine.root / "tmp" / "perf-7.map"
    if kind == "link":
        path.symlink_to(machine.writes(8, "1000 10 one\n"))
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.mkdir()
    assert machine.name(7, 0x1000) == ""


def test_a_file_of_an_earlier_process_of_that_number(machine: Machine) -> None:
    machine.lives(7)
    path = machine.writes(7, "1000 10 one\n")
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    machine.started(7, int((now - 1) * os.sysconf("SC_CLK_TCK")))
    assert machine.name(7, 0x1000) == "one"
    os.utime(path, (time.time() - 60, time.time() - 60))
    machine.names = JitNames(Files(machine.root))
    assert machine.name(7, 0x1000) == "", "written before the process began"
    machine.ends(7)
    assert machine.name(7, 0x1000) == "", "written before anybody looked"


def test_another_process_that_has_the_number_now(machine: Machine) -> None:
    machine.lives(7)
    path = machine.writes(7, "1000 10 one\n")
    assert machine.name(7, 0x1000) == "one"
    path.unlink()
    assert machine.name(7, 0x1000) == "one", "it lives, and the file has been read"
    machine.started(7, 5)
    assert machine.name(7, 0x1000) == ""


def test_one_that_began_and_ended(machine: Machine) -> None:
    machine.writes(9, "1000 10 one\n")
    assert machine.name(9, 0x1000) == "one"


def test_no_more_is_read_than_there_is_room_for(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jit_names, "MOST_BYTES", 30)
    machine.lives(7)
    machine.writes(7, "1000 10 one\n2000 10 two\n3000 10 three\n")
    assert [machine.name(7, at) for at in (0x1000, 0x2000, 0x3000)] == ["one", "two", ""]
    for pid in range(100, 100 + 3 * MAX_PROCESSES):
        machine.writes(pid, "1000 10 one\n")
        assert machine.name(pid, 0x1000) == "one"
    assert len(machine.names._known) == MAX_PROCESSES


@pytest.mark.parametrize(
    ("path", "executable", "expected"),
    [
        ("[anon]", True, True),
        ("[anon:v8]", True, True),
        ("/memfd:doublemapper", True, True),
        ("/dev/zero", True, True),
        ("[anon]", False, False),
        ("/usr/bin/node", True, False),
    ],
)
def test_where_made_code_may_be(path: str, executable: bool, expected: bool) -> None:
    assert may_be_made(Mapping(0, 1, executable, 0, 0, 0, path)) is expected


def test_names_of_mappings_that_were_told_of(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    mapping = Mapping(0x1000, 0x3000, True, 0, 0, 0, "[anon]")
    records: list[ProcessRecord] = [Executed(9), Mapped(9, mapping)]
    symbols = LiveSymbolizer(tmp_path, lambda: [records.pop(0) for _ in [*records]])
    (tmp_path / "tmp" / "perf-9.map").write_text("1000 10 one\n")
    assert symbols.user(9, 0x1004) == Location("one", 4, 16, "/tmp/perf-9.map")
    assert symbols.user(9, 0x2000) == Location("", 0x1000, 0, "[anon]")
