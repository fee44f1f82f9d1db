"""What a session tells beside its events."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import bpfprobe as bp
from bpfprobe import starting
from bpfprobe.target.other_files import OtherFile, other_files
from bpfprobe.testing import FakeEngine
from tests.sample_machine import machine

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MACHINE = machine(binaries={"/lib/mem.so": ["memcpy", "memmove", "memset", "strlen"]})
MEM, LENGTH = bp.uprobe("/lib/mem.so", "mem*"), bp.uprobe("/lib/mem.so", "strlen")


class Compiler(FakeEngine):
    """An engine whose starts are kept."""

    def compiler(self) -> str:
        return "libbcc 1"


def test_places_are_counted_before_anything_is_attached() -> None:
    engine, told = FakeEngine(), list[tuple[bp.Notice, int]]()
    session = bp.Session(LENGTH, MEM, target=MACHINE, engine=engine)
    session.on_notice(lambda notice: told.append((notice, len(engine.attached))))
    with session:
        assert len(engine.attached) == 2
    assert told == [(bp.Notice("PLACES", "mem_ goes to 3 places"), 0)]
    assert str(told[0][0]) == "mem_ goes to 3 places"


def test_a_kept_start_tells_the_same(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BPFPROBE_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setattr(starting, "live_target", lambda: MACHINE)
    told, compiled = list[str](), 0
    for _ in range(2):
        engine = Compiler()
        session = bp.Session(MEM, engine=engine)
        session.on_notice(lambda notice: told.append(str(notice)))
        with session:
            compiled += len(engine.sources)
    assert told == ["mem_ goes to 3 places"] * 2
    assert compiled == 1


def test_what_the_action_raises_keeps_everything_out() -> None:
    def refuse(notice: bp.Notice) -> None:
        raise RuntimeError(notice.text)

    engine = FakeEngine()
    session = bp.Session(MEM, target=MACHINE, engine=engine)
    session.on_notice(refuse)
    with pytest.raises(RuntimeError, match="mem_ goes to 3 places"):
        session.open()
    assert engine.is_idle


@pytest.mark.parametrize("most", [0, (1 << 20) + 1])
def test_a_limit_that_cannot_be(most: int) -> None:
    with pytest.raises(bp.OptionError, match="--max-places"):
        bp.Session(MEM, max_places=most)


def test_another_file_at_a_path_of_a_probe_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[list[str], int | None]] = []

    def other_files(paths: Iterable[str], pid: int | None) -> Iterator[OtherFile]:
        asked.append(([*paths], pid))
        yield OtherFile("/lib/mem.so", 4711, "nginx", 2)

    monkeypatch.setattr("bpfprobe.target.other_files.other_files", other_files)
    monkeypatch.setattr(starting, "live_target", lambda: MACHINE)
    told = list[bp.Notice]()
    session = bp.Session(LENGTH, MEM, engine=FakeEngine(), tid=31)
    session.on_notice(told.append)
    with session:
        assert told[-1].code == "OTHER_FILE"
    assert asked == [(["/lib/mem.so"], 31)]
    assert told[-1].text == (
        "process 4711 (nginx) runs another file at /lib/mem.so, as those of 2 more mount "
        "namespaces do, which is not probed: -p 4711 (in Python pid=4711, for the probe) probes "
        "that one, --follow (follow=True) all of them"
    )
    with bp.Session(LENGTH, engine=FakeEngine()):  # nobody would be told
        pass
    assert len(asked) == 1


def test_an_action_that_raises_when_all_is_attached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "bpfprobe.target.other_files.other_files",
        lambda paths, pid: [OtherFile(path, 1, "init", 0) for path in paths],
    )
    monkeypatch.setattr(starting, "live_target", lambda: MACHINE)

    def refuse(notice: bp.Notice) -> None:
        raise RuntimeError(notice.text)

    engine = FakeEngine()
    session = bp.Session(LENGTH, engine=engine)
    session.on_notice(refuse)
    with pytest.raises(RuntimeError, match=r"process 1 .init. runs another file"):
        session.open()
    assert engine.is_idle


def test_probes_of_a_process_or_the_kernel_have_no_other_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bpfprobe.target.other_files.other_files", None)
    target = machine(binaries={"/lib/mem.so": ["strlen"]}, processes={42: ["/lib/mem.so"]})
    monkeypatch.setattr(starting, "live_target", lambda: target)
    session = bp.Session(
        bp.uprobe("/lib/mem.so", "strlen", pid=42), bp.kprobe("vfs_read"), engine=FakeEngine()
    )
    told = list[bp.Notice]()
    session.on_notice(told.append)
    with session:
        assert told == []


def test_processes_are_asked_as_far_as_they_let_us() -> None:
    assert [*other_files(["/nowhere/at/all", "/proc/self/exe"])] == []
    assert [*other_files(["/lib"], 4_000_000)] == []
