"""Which files are opened, described and attached, on fakes: nothing of it needs a kernel."""

from __future__ import annotations

import errno
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

import bpfprobe as bp
from bpfprobe.errors import TargetError
from bpfprobe.follow.begin import begin_following
from bpfprobe.model.mapping import (
    Executed,
    Exited,
    FileKey,
    Forked,
    Mapped,
    Mapping,
    RecordsLost,
)
from bpfprobe.model.wanted import Wanted
from bpfprobe.testing import FakeEngine
from tests.sample_machine import machine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bpfprobe.engine import Link
    from bpfprobe.follow.begin import Followed
    from bpfprobe.target import Target

HERE, THERE = "/lib/here.so", "/lib/there.so"


@dataclass
class FakeFile:
    """A file of the test, opened."""

    path: str
    key: FileKey
    changed_ns: int = 1
    is_open: bool = True

    def close(self) -> None:
        self.is_open = False


@dataclass
class FakeFiles:
    """Processes with the files that they map: ``content`` says what functions an inode has."""

    content: dict[int, list[str]] = field(default_factory=dict)
    maps: dict[int, list[Mapped]] = field(default_factory=dict)
    tree: dict[int, int] = field(default_factory=lambda: {1: 0, 7: 1})
    opened: list[FakeFile] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    alive: dict[int, set[int]] = field(default_factory=dict)
    led: int = 0

    def parents(self) -> dict[int, int]:
        return self.tree

    def threads(self, pid: int) -> set[int]:
        return self.alive.get(pid, {pid})

    def mapped(self, pid: int) -> list[Mapped]:
        return self.maps.get(pid, [])

    def wanted(self, name: str, pid: int | None, found: str | None) -> Wanted:
        return Wanted(name, (name,), leads=True)

    def leads_to(self, wanted: Wanted, mapped: Mapped) -> bool:
        self.asked.append(mapped.mapping.path)
        return mapped.mapping.path == f"/link/to{wanted.name}" or mapped.mapping.inode == self.led

    def leads(self, wanted: Wanted, pid: int | None) -> FileKey | None:
        return FileKey(1, self.led) if self.led else None

    def end(self, pid: int, tid: int) -> Exited:
        """The last thread of a process ends, and all that it had mapped is gone."""
        self.maps.pop(pid, None)
        return Exited(pid, tid)

    def key(self, path: str) -> FileKey | None:
        return FileKey(1, 100)

    def open(self, mapped: Mapped) -> FakeFile:
        if mapped.mapping.inode not in self.content:
            raise TargetError(f"{mapped.mapping.path} was gone", code="FILE_GONE")
        # As on btrfs, the device of the mapping is not that of the file.
        file = FakeFile(f"/proc/self/fd/{len(self.opened)}", FileKey(1, mapped.mapping.inode))
        self.opened.append(file)
        return file

    def target(self, base: Target, opened: Any) -> Target:
        return _Named(machine(binaries={opened.path: self.content[opened.key.inode]}), opened.path)


class _Named:
    """A machine on which every name means one file."""

    def __init__(self, target: Target, path: str) -> None:
        self._target, self._path = target, path

    def __getattr__(self, question: str) -> Any:
        return getattr(self._target, question)

    def binary(self, path: str, pid: int | None = None) -> Any:
        return self._target.binary(self._path)

    def process_maps_binary(self, pid: int, binary: Any) -> bool:
        return True


def mapped(pid: int, inode: int, path: str = HERE, device: int = 1) -> Mapped:
    return Mapped(pid, Mapping(0x1000, 0x2000, True, 0, device, inode, path))


class Bench:
    """A session that follows, on fakes."""

    def __init__(self, *probes: bp.Probe, files: FakeFiles, **options: Any) -> None:
        self.engine, self.files, self.told = FakeEngine(), files, list[str]()
        target = machine(binaries={HERE: ["plug"]}, processes={7: [HERE]})
        self.followed: Followed = begin_following(
            probes, bp.Options(follow=True, **options), target, self.engine, None,
            lambda notice: self.told.append(f"{notice.code} {notice}"), files,
        )  # fmt: skip

    def tell(self, *records: Any) -> list[str]:
        """What is attached once it has been dealt with."""
        (watch,) = self.engine.watches
        watch.push(*records)
        watch.settle()
        if (ending := self.followed.following._ending) is not None:
            ending.join()
        return self.attached

    @property
    def attached(self) -> list[str]:
        return [f"{site} {site.pid}" for site in self.engine.attached]  # type: ignore[union-attr]  # all are of programs

    def close(self) -> None:
        self.followed.following.end()
        self.followed.attachment.close()
        assert self.engine.is_idle
        assert not any(file.is_open for file in self.files.opened)


@pytest.fixture
def files() -> FakeFiles:
    return FakeFiles(content={inode: ["plug"] for inode in (100, 101, 102)})


@pytest.fixture
def benches() -> Iterator[list[Bench]]:
    made: list[Bench] = []
    yield made
    for bench in made:
        bench.close()


PLUG = bp.uprobe(HERE, "plug", n="$arg1")


def until(raises: Callable[[], None]) -> None:
    """Ask again while another thread works."""
    for _ in range(10_000):
        raises()
        time.sleep(0.001)


def test_each_file_once_and_no_other_is_opened(files: FakeFiles, benches: list[Bench]) -> None:
    files.maps = {1: [mapped(1, 100), mapped(1, 101), mapped(1, 55, "/bin/init")]}
    benches.append(bench := Bench(PLUG, files=files))
    first = ["uprobe:/lib/here.so:plug None", "uprobe:/proc/self/fd/0:plug None"]
    assert bench.attached == first
    assert [place.inode for place in bench.followed.following.places()] == [100, 101]
    again = [
        mapped(9, 100),
        mapped(9, 101),
        mapped(9, 101, "/a/hard/link"),
        mapped(9, 55, "/bin/init"),
    ]
    assert bench.tell(*again, *again) == first
    assert len(files.opened) == 1
    assert files.asked == ["/bin/init"]
    assert bench.tell(mapped(9, 102, "/link/to/lib/here.so"))[2:] == [
        "uprobe:/proc/self/fd/1:plug None"
    ]
    assert bench.told == [
        "FOLLOWED plug goes to /lib/here.so (1 place)",
        "FOLLOWED plug goes to /link/to/lib/here.so (1 place)",
    ]
    assert len(bench.engine.sources) == 1, "the same C is compiled once"


def test_a_file_is_opened_once_for_all_probes(files: FakeFiles, benches: list[Bench]) -> None:
    again = bp.uprobe(HERE, "plug", event="again")
    benches.append(bench := Bench(PLUG, again, files=files))
    assert len(bench.tell(mapped(9, 101))) == 4
    assert len(files.opened) == 1
    bench.tell(mapped(9, 55))
    assert [line.partition(" of ")[0] for line in bench.told[2:]] == [
        f"REFUSED {name} does not go to /lib/here.so" for name in ("plug", "again")
    ]


def test_a_link_that_is_turned_to_a_file_that_was_mapped_before(
    files: FakeFiles, benches: list[Bench]
) -> None:
    files.led = 100
    benches.append(bench := Bench(PLUG, files=files))
    assert len(bench.tell(mapped(8, 101, "/real"), mapped(9, 101, "/real"))) == 1
    assert files.asked == ["/real"]
    files.led = 101
    assert len(bench.tell(mapped(9, 101, "/real"))) == 2


def test_a_mapping_with_another_device_is_the_same_file(
    files: FakeFiles, benches: list[Bench]
) -> None:
    benches.append(bench := Bench(PLUG, files=files))
    assert len(bench.tell(mapped(9, 100, device=5), mapped(9, 101, device=5))) == 2
    assert len(bench.tell(mapped(9, 101, device=5), mapped(8, 100, device=5))) == 2
    assert len(files.opened) == 2


def test_a_process_and_what_it_starts(files: FakeFiles, benches: list[Bench]) -> None:
    files.maps = {pid: [mapped(pid, 100)] for pid in (7, 8, 9, 10)}
    benches.append(bench := Bench(bp.uprobe(HERE, "plug", pid=7), files=files))
    assert bench.attached == ["uprobe:/lib/here.so:plug 7"]
    own = bench.attached
    assert bench.tell(mapped(8, 101), Forked(10, 9), Forked(9, 1)) == own, "a stranger"
    both = [*own, "uprobe:/proc/self/fd/0:plug 8"]
    assert bench.tell(Forked(8, 7)) == both
    assert bench.tell(mapped(8, 102))[2:] == ["uprobe:/proc/self/fd/1:plug 8"]
    files.alive[8] = {8, 81}
    assert len(bench.tell(Exited(8, 8))) == 3, "its other thread lives"
    assert bench.tell(files.end(8, 81)) == own
    assert bench.tell(files.end(7, 7)) == []
    (awaited,) = bench.followed.following.waits_for()
    assert str(awaited) == "plug waits for /lib/here.so in process 7"


@pytest.mark.parametrize("is_seen_late", [False, True])
def test_an_exec_of_another_thread_than_the_first(
    files: FakeFiles, benches: list[Bench], is_seen_late: bool
) -> None:
    """Links of the kernel are of a process's first thread, which such an exec replaces."""
    files.maps = {pid: [mapped(pid, 100)] for pid in (7, 8)}
    benches.append(bench := Bench(bp.uprobe(HERE, "plug", pid=7), files=files))
    bench.tell(Forked(8, 7))
    own, first = bench.engine.links
    files.alive[8] = {8} if is_seen_late else {8, 81}
    bench.tell(Exited(8, 8))
    assert first.is_open is not is_seen_late
    files.alive[8] = {8}
    bench.tell(Executed(8), mapped(8, 100))
    assert [link.is_open for link in bench.engine.links] == [True, False, True]
    files.alive[8] = {8, 82}
    assert len(bench.tell(Exited(8, 82))) == 2, "a thread of the new program"
    files.alive[8] = {8}
    bench.tell(files.end(8, 8))
    assert [link.is_open for link in (own, *bench.engine.links[1:])] == [True, False, False]


def test_a_process_that_is_replaced_meanwhile_says_nothing_of_the_file(
    files: FakeFiles, benches: list[Bench]
) -> None:
    benches.append(bench := Bench(bp.uprobe(HERE, "plug", pid=7), files=files))
    bench.engine.refuse("fd/0", errno.ESRCH)
    bench.tell(Forked(8, 7), mapped(8, 101))
    assert "[NO_PROCESS]" in bench.told[-1]
    assert len(bench.tell(Executed(8), mapped(8, 101))) == 2


def test_threads_that_have_ended_are_forgotten(files: FakeFiles, benches: list[Bench]) -> None:
    benches.append(bench := Bench(bp.uprobe(HERE, "plug", pid=7), files=files))
    for tid in range(70, 100):
        files.alive[7] = {7, tid}
        bench.tell(Exited(7, tid))
    assert bench.followed.following._exited == {7: {99}}
    files.alive[7] = {7}
    assert bench.tell(files.end(7, 7)) == []
    assert bench.followed.following._exited == {}


def test_what_is_lost_is_looked_up(files: FakeFiles, benches: list[Bench]) -> None:
    benches.append(bench := Bench(PLUG, files=files))
    files.tree[3], files.maps[3] = 1, [mapped(3, 101)]
    assert len(bench.tell(RecordsLost(5), Exited(4, 4), RecordsLost(6))) == 2
    assert bench.told[0] == (
        "LOST 11 records of processes were lost: all processes are looked at once more"
    )
    bench.tell(RecordsLost(0))
    assert bench.told[2].startswith("LOST a CPU has come online: ")


def test_an_end_that_is_lost_is_seen_all_the_same(files: FakeFiles, benches: list[Bench]) -> None:
    files.tree |= {8: 7}
    files.maps = {pid: [mapped(pid, 100)] for pid in (7, 8, 9)}
    benches.append(bench := Bench(bp.uprobe(HERE, "plug", pid=7), files=files))
    assert [place.pid for place in bench.followed.following.places()] == [7, 8]
    files.tree = {1: 0, 7: 1, 9: 7}
    bench.tell(RecordsLost(3))
    assert [place.pid for place in bench.followed.following.places()] == [7, 9]
    assert len(bench.attached) == 2


@pytest.mark.parametrize("pid", [None, 7])
def test_a_file_that_is_gone(files: FakeFiles, benches: list[Bench], pid: int | None) -> None:
    benches.append(bench := Bench(bp.uprobe(HERE, "plug", pid=pid), files=files))
    assert len(bench.tell(mapped(7, 55))) == 1
    told = [
        "REFUSED plug does not go to /lib/here.so of process 7: /lib/here.so was gone [FILE_GONE]"
    ]
    assert bench.told == ([] if pid else told)


def test_a_refusal_is_told_once(files: FakeFiles, benches: list[Bench]) -> None:
    files.content[103] = ["other"]
    benches.append(bench := Bench(PLUG, files=files))
    assert len(bench.tell(mapped(7, 103), mapped(8, 103))) == 1
    (told,) = bench.told
    assert told.startswith("REFUSED plug does not go to /lib/here.so of process 7: ")
    assert "/proc/self/fd" not in told
    bench.engine.refuse("fd/1", errno.EINVAL)
    files.opened.clear()
    files.opened.append(FakeFile("", FileKey(0, 0), is_open=False))
    assert len(bench.tell(mapped(7, 101), mapped(8, 101))) == 1
    assert len(bench.told) == 2


def test_the_limit_counts_places_that_are_taken(files: FakeFiles, benches: list[Bench]) -> None:
    files.maps = {pid: [mapped(pid, 100)] for pid in (7, 8, 9, 10)}
    benches.append(bench := Bench(bp.uprobe(HERE, "plug", pid=7), files=files, max_places=2))
    assert len(bench.tell(Forked(8, 7), Forked(9, 7), Forked(10, 7))) == 2
    assert [told.split()[0] for told in bench.told] == ["FOLLOWED", "REFUSED"]
    assert len(bench.tell(files.end(8, 8), mapped(9, 100))) == 2
    assert len(bench.tell(mapped(10, 100))) == 2
    assert [told.split()[0] for told in bench.told] == ["FOLLOWED", "REFUSED"] * 2


def test_what_is_awaited_uses_the_programs_that_were_made_for_it(
    files: FakeFiles, benches: list[Bench]
) -> None:
    probe = bp.uprobe(THERE, "plug", n="$arg1")
    benches.append(bench := Bench(PLUG, probe, files=files))
    assert bench.attached == ["uprobe:/lib/here.so:plug None"]
    assert bench.told == ["WAITS plug waits for /lib/there.so"]
    assert len(bench.tell(mapped(7, 101, THERE))) == 2
    assert len(bench.engine.sources) == 1
    assert bench.followed.following.waits_for() == ()
    assert bench.followed.attachment.tally(1).missed == 0


def test_an_unforeseen_error_reaches_the_caller(files: FakeFiles, benches: list[Bench]) -> None:
    benches.append(bench := Bench(PLUG, files=files))
    failure = RuntimeError("the test says so")

    def fail(mapped: Mapped) -> FakeFile:
        raise failure

    files.open = fail  # type: ignore[method-assign]  # for this once
    bench.engine.watches[0].push(mapped(7, 101))
    with pytest.raises(RuntimeError) as caught:
        until(bench.followed.following.check)
    assert caught.value is failure
    bench.followed.following.check()


@pytest.mark.parametrize(
    ("probes", "options", "code"),
    [
        ([bp.kprobe("vfs_read")], {}, "FOLLOW_NOTHING"),
        ([bp.uprobe(HERE, "plug", pid=7), bp.kprobe("vfs_read")], {}, "FOLLOW_MIXED"),
        ([bp.uprobe(HERE, "plug", pid=7), PLUG], {}, "FOLLOW_MIXED"),
        ([bp.uprobe(HERE, "plug", pid=7)], {"pid": 7}, "FOLLOW_PID"),
        ([bp.uprobe(THERE, "pl*", func="func")], {}, "FOLLOW_SHAPE"),
    ],
)
def test_what_cannot_be_followed(
    files: FakeFiles, probes: list[bp.Probe], options: dict[str, Any], code: str
) -> None:
    with pytest.raises(bp.SessionError) as caught:
        Bench(*probes, files=files, **options)
    assert caught.value.code == code
    assert caught.value.hint


def test_what_fails_at_the_beginning_leaves_nothing(files: FakeFiles) -> None:
    engine = FakeEngine()
    target = machine(binaries={HERE: ["plug"]})

    def refuse(notice: bp.Notice) -> None:
        raise RuntimeError(str(notice))

    probe = bp.uprobe(THERE, "plug")
    with pytest.raises(RuntimeError, match="waits for"):
        begin_following([probe], bp.Options(follow=True), target, engine, None, refuse, files)
    assert engine.is_idle


def test_places_are_only_of_sessions_that_follow() -> None:
    session = bp.Session(PLUG, target=machine(binaries={HERE: ["plug"]}), engine=FakeEngine())
    for ask in (session.places, session.waits_for):
        with pytest.raises(bp.SessionError, match="does not follow"):
            ask()


def test_links_end_beside_the_following(files: FakeFiles, benches: list[Bench]) -> None:
    """To end one takes the kernel its time: processes that come meanwhile do not wait for it."""
    files.maps = {pid: [mapped(pid, 100)] for pid in range(7, 12)}
    benches.append(bench := Bench(bp.uprobe(HERE, "plug", pid=7), files=files))
    (watch,) = bench.engine.watches
    may_end, detach, ended = threading.Event(), bench.engine.detach, list[int]()

    def slowly(links: Sequence[Link]) -> None:
        may_end.wait(60)
        ended.append(len(links))
        detach(links)

    bench.engine.detach = slowly  # type: ignore[method-assign]  # as the kernel does it
    for pid in (8, 9, 10):
        watch.push(Forked(pid, 7))
        watch.settle()
        watch.push(files.end(pid, pid))
        watch.settle()
    assert len(bench.attached) == 4, "none has ended yet"
    assert len(bench.followed.following.places()) == 1
    may_end.set()
    bench.followed.following.end()
    assert ended == [1, 2], "those that came meanwhile end together"
    assert bench.attached == ["uprobe:/lib/here.so:plug 7"]


def test_the_end_waits_for_links_that_begin_to_end_meanwhile(
    files: FakeFiles, benches: list[Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    files.maps = {pid: [mapped(pid, 100)] for pid in (7, 8)}
    benches.append(bench := Bench(bp.uprobe(HERE, "plug", pid=7), files=files))
    bench.tell(Forked(8, 7))
    (watch,), detach = bench.engine.watches, bench.engine.detach
    is_seen, may_go, threads = threading.Event(), threading.Event(), files.threads

    def seen(pid: int) -> set[int]:
        is_seen.set()
        may_go.wait(60)
        return threads(pid)

    def slowly(links: Sequence[Link]) -> None:
        time.sleep(0.1 if links else 0)
        detach(links)

    monkeypatch.setattr(files, "threads", seen)
    bench.engine.detach = slowly  # type: ignore[method-assign]  # as the kernel does it
    watch.push(files.end(8, 8))
    is_seen.wait(60)
    threading.Timer(0.05, may_go.set).start()
    bench.followed.following.end()
    assert bench.attached == ["uprobe:/lib/here.so:plug 7"]


def test_where_no_thread_is_to_be_had(
    files: FakeFiles, benches: list[Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    files.maps = {pid: [mapped(pid, 100)] for pid in (7, 8)}
    benches.append(bench := Bench(bp.uprobe(HERE, "plug", pid=7), files=files))
    bench.tell(Forked(8, 7))

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert bench.tell(files.end(8, 8)) == ["uprobe:/lib/here.so:plug 7"]
    bench.followed.following.check()
    engine, target = FakeEngine(), machine(binaries={HERE: ["plug"]}, processes={7: [HERE]})
    options = bp.Options(follow=True)
    with pytest.raises(bp.SessionError, match="takes a thread of its own") as error:
        begin_following((PLUG,), options, target, engine, None, lambda notice: None, files)
    assert error.value.code == "FOLLOW_THREAD"
    assert engine.is_idle


def session_of(files: FakeFiles, monkeypatch: pytest.MonkeyPatch, engine: FakeEngine) -> bp.Session:
    monkeypatch.setattr("bpfprobe.follow.begin.LiveProcessFiles", lambda: files)
    target = machine(binaries={HERE: ["plug"]}, processes={7: [HERE]})
    return bp.Session(PLUG, target=target, engine=engine, follow=True)


def test_a_notice_cannot_close_the_session(
    files: FakeFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = session_of(files, monkeypatch, engine := FakeEngine())
    session.on_notice(lambda notice: session.close())
    with session:
        engine.watches[0].push(mapped(7, 101))
        with pytest.raises(bp.SessionError, match="stop") as error:
            list(session)
    assert error.value.code == "OWN_THREAD"
    assert engine.is_idle


def test_an_interrupt_while_the_end_is_awaited_leaves_nothing(
    files: FakeFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = session_of(files, monkeypatch, engine := FakeEngine())
    session.open()
    join, interrupts = threading.Thread.join, [KeyboardInterrupt]

    def interrupted(thread: threading.Thread, timeout: float | None = None) -> None:
        if interrupts:
            raise interrupts.pop()
        join(thread, timeout)

    monkeypatch.setattr(threading.Thread, "join", interrupted)
    with pytest.raises(KeyboardInterrupt):
        session.close()
    assert engine.is_idle
    session.close()


def test_a_link_that_does_not_end_is_told(files: FakeFiles, benches: list[Bench]) -> None:
    files.maps = {pid: [mapped(pid, 100)] for pid in (7, 8)}
    benches.append(bench := Bench(bp.uprobe(HERE, "plug", pid=7), files=files))
    detach = bench.engine.detach
    bench.tell(Forked(8, 7))

    def fail(links: Sequence[Link]) -> None:
        detach(links)
        raise OSError(errno.EIO, "the test says so")

    bench.engine.detach = fail  # type: ignore[method-assign]  # for this once
    bench.tell(files.end(8, 8))
    bench.engine.detach = detach  # type: ignore[method-assign]  # and no more
    with pytest.raises(OSError, match="the test says so"):
        bench.followed.following.check()
