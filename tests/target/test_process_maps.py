"""What processes have mapped: from files of /proc, and from what the kernel told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.model.mapping import Executed, Forked, Mapped, Mapping, ProcessRecord
from bpfprobe.target.files import Files
from bpfprobe.target.process_maps import MAX_PROCESSES, ProcessMaps

if TYPE_CHECKING:
    from pathlib import Path

LINE = "{:x}-{:x} r-xp 00001000 fd:00 77 /usr/bin/{}\n"


class Machine:
    """A /proc, and what the kernel has told since it was last asked."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.records: list[ProcessRecord] = []
        (root / "proc").mkdir()
        self.maps = ProcessMaps(Files(root), self.told)

    def told(self) -> list[ProcessRecord]:
        told, self.records = self.records, []
        return told

    def has(self, pid: int, *names: str) -> None:
        """The process maps the files one after the other."""
        folder = self.root / "proc" / str(pid)
        folder.mkdir(exist_ok=True)
        lines = [LINE.format(0x1000 * n, 0x1000 * (n + 1), name) for n, name in enumerate(names, 1)]
        (folder / "maps").write_text("".join(lines))

    def ends(self, pid: int) -> None:
        (self.root / "proc" / str(pid) / "maps").unlink()

    def name(self, pid: int, address: int) -> str:
        found = self.maps.at(pid, address)
        return "" if found is None else found.path.rpartition("/")[2]


def mapped(pid: int, number: int, name: str) -> Mapped:
    mapping = Mapping(0x1000 * number, 0x1000 * (number + 1), True, 0, 0, 5, f"/usr/bin/{name}")
    return Mapped(pid, mapping)


def test_one_that_lives(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.has(7, "sh", "libc")
    assert [machine.name(7, at) for at in (0xFFF, 0x1000, 0x1FFF, 0x2ABC, 0x3000)] == [
        "", "sh", "sh", "libc", ""
    ]  # fmt: skip
    machine.has(7, "sh", "libc", "plugin")  # dlopen(3)
    assert machine.name(7, 0x3000) == "plugin"
    machine.ends(7)
    assert machine.name(7, 0x2000) == "libc"
    assert machine.name(8, 0x2000) == ""


def test_one_that_was_there_and_ended_before_anybody_asked(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.has(7, "sh")
    machine.maps.look_around()
    machine.ends(7)
    machine.records = [mapped(7, 2, "plugin")]
    assert [machine.name(7, at) for at in (0x1000, 0x2000)] == ["sh", "plugin"]


def test_one_that_began_and_ended(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.records = [Forked(9, 7), Executed(9), mapped(9, 1, "ls"), mapped(9, 2, "libc")]
    machine.maps.listen()
    assert [machine.name(9, at) for at in (0x1000, 0x2000, 0x3000)] == ["ls", "libc", ""]
    machine.records = [mapped(9, 2, "another")]  # where the first was unmapped
    assert machine.name(9, 0x2000) == "another"
    machine.records = [Forked(9, 1), Executed(9), mapped(9, 1, "cat")]  # another process
    assert [machine.name(9, at) for at in (0x1000, 0x2000)] == ["cat", ""]


def test_a_program_in_place_of_another(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.has(7, "sh", "libc")
    assert machine.name(7, 0x1000) == "sh"
    machine.ends(7)
    machine.records = [Executed(7), mapped(7, 1, "ls")]
    assert [machine.name(7, at) for at in (0x1000, 0x2000)] == ["ls", ""]


def test_one_that_only_forked_has_what_its_parent_has(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.records = [Executed(7), mapped(7, 1, "server"), Forked(8, 7), mapped(8, 2, "own")]
    assert [machine.name(8, at) for at in (0x1000, 0x2000)] == ["server", "own"]
    assert machine.name(7, 0x2000) == ""
    machine.has(20, "shell")
    machine.records = [Forked(21, 20)]
    assert machine.name(21, 0x1000) == "shell"
    machine.maps.look_around()
    machine.ends(20)
    machine.records = [Forked(22, 20)]
    assert machine.name(22, 0x1000) == "shell"


def test_a_library_that_is_loaded_again_and_again_takes_room_once(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    for number in range(97):
        for start in (0x1000, 0x5000):
            mapping = Mapping(start, start + 0x2000, True, 0, 1, number, f"/lib/{number}.so")
            machine.records.append(Mapped(9, mapping))
    assert machine.name(9, 0x5001) == machine.name(9, 0x2FFF) == "96.so"
    machine.records.append(Mapped(9, Mapping(0x2000, 0x3000, True, 0, 1, 7, "/lib/over.so")))
    assert machine.name(9, 0x1001) == "96.so"
    assert machine.name(9, 0x2FFF) == "over.so"
    assert len(machine.maps._mappings[9]) == 3


def test_no_more_are_remembered_than_there_is_room_for(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    for first in range(1, 3 * MAX_PROCESSES, 2):
        machine.records += [Executed(first), mapped(first, 1, "sh"), Forked(first + 1, 900_000)]
    last = 3 * MAX_PROCESSES - 1
    assert machine.name(last - last % 2 - 1, 0x1000) == "sh"
    assert machine.name(1, 0x1000) == ""
    assert len(machine.maps._mappings) <= MAX_PROCESSES
    assert len(machine.maps._parents) <= MAX_PROCESSES


def test_without_anybody_to_tell(tmp_path: Path) -> None:
    maps = ProcessMaps(Files(tmp_path))
    maps.listen()
    assert maps.at(1, 0) is None
