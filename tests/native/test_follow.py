"""Files that come later, on processes that the tests start: each call is seen once."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

import bpfprobe as bp
from bpfprobe.model.machine import Answer
from bpfprobe.target.live import LiveTarget
from tests.native.following import (
    PLUGIN,
    TIMES,
    VALUES,
    Host,
    balanced,
    build_plugin,
    plug,
    until,
    values,
)
from tests.native.programs import kernel_things, needs_uprobes

if TYPE_CHECKING:
    from bpfprobe.model.machine import MachineFacts

pytestmark = needs_uprobes


class OneByOne(LiveTarget):
    """This machine, as if its kernel had no links of their own for uprobes."""

    def facts(self) -> MachineFacts:
        return replace(super().facts(), uprobe_multi=Answer(False, "the test says so"))


@pytest.mark.parametrize("by_pid", [False, True])
def test_a_plugin_that_does_not_exist_yet(host: Host, tmp_path: Path, by_pid: bool) -> None:
    path = tmp_path / "plugin.so"
    probe = plug(path, pid=host.pid if by_pid else None)
    told: list[str] = []
    session = bp.Session(probe, follow=True)
    session.on_notice(lambda notice: told.append(f"{notice.code} {notice}"))
    pid = host.pid if by_pid else None
    with session:
        assert session.places() == ()
        assert session.waits_for() == (bp.Awaited("plug", str(path), pid),)
        build_plugin(path)
        host(f"load {path}")
        until(session.places)
        host(f"call {TIMES}")
        assert values(session) == VALUES
        status = path.stat()
        place = bp.Place("plug", str(path), pid, status.st_dev, status.st_ino, 1)
        assert session.places() == (place,)
        assert session.waits_for() == ()
        statistics = session.statistics()
    where = f" of process {pid}" if by_pid else ""
    waits = f" in process {pid}" if by_pid else ""
    assert told == [
        f"WAITS plug waits for {path}{waits}",
        f"FOLLOWED plug goes to {path}{where} (1 place)",
    ]
    assert (statistics.produced, statistics.delivered) == (TIMES, TIMES)
    assert balanced(session.statistics())
    assert kernel_things() == []


def in_namespace(host_path: Path, over: Path, other: Path) -> Host:
    """The program where another file is at the path of one."""
    script = 'mount --bind "$1" "$2" && exec "$3"'
    return Host("unshare", "-m", "sh", "-c", script, "sh", str(other), str(over), str(host_path))


@pytest.mark.parametrize("is_there_before", [False, True])
def test_another_file_at_the_same_path_in_another_namespace(
    host: Host, host_path: Path, tmp_path: Path, is_there_before: bool
) -> None:
    path, other = build_plugin(tmp_path / "plugin.so"), tmp_path / "other.so"
    shutil.copy(path, other)
    with in_namespace(host_path, path, other) as container:
        container("call 0")  # the mount has been made
        if is_there_before:
            container(f"load {path}")
        with bp.Session(plug(path), follow=True) as session:
            if not is_there_before:
                container(f"load {path}")
            until(lambda: len(session.places()) == 2)
            host(f"load {path}")
            container(f"call {TIMES}")
            assert values(session) == VALUES
            host(f"call {TIMES}")
            assert values(session) == VALUES
            inodes = [place.inode for place in session.places()]
            assert inodes == [path.stat().st_ino, other.stat().st_ino]
            assert len({place.path for place in session.places()}) == 1
    assert kernel_things() == []


def in_container(host_path: Path, layer: Path, over: Path) -> Host:
    """The program where an overlayfs over a layer is mounted."""
    own = over.with_name(f"{over.name}-{uuid4()}")
    for folder in ("upper", "work"):
        (own / folder).mkdir(parents=True)
    script = 'mount -t overlay -o "$1" overlay "$2" && exec "$3"'
    options = f"lowerdir={layer},upperdir={own}/upper,workdir={own}/work"
    return Host("unshare", "-m", "sh", "-c", script, "sh", options, str(over), str(host_path))


@pytest.mark.skipif(
    "overlay" not in Path("/proc/filesystems").read_text(), reason="this kernel has no overlayfs"
)
def test_a_file_of_an_image_is_one_in_all_its_containers(host_path: Path, tmp_path: Path) -> None:
    layer, over = tmp_path / "layer", tmp_path / "over"
    layer.mkdir()
    over.mkdir()
    build_plugin(layer / "plugin.so")
    with (
        in_container(host_path, layer, over) as one,
        in_container(host_path, layer, over) as other,
        in_container(host_path, layer, over) as third,
        bp.Session(plug(over / "plugin.so"), follow=True) as session,
    ):
        one(f"load {over}/plugin.so")
        until(session.places)
        other(f"load {over}/plugin.so")
        for container in (one, other, one):
            container(f"call {TIMES}")
            assert values(session) == VALUES
        third("call 0")  # the mount has been made
        Path(f"/proc/{third.pid}/root{over}/plugin.so").chmod(0o700)  # a copy of its own
        third(f"load {over}/plugin.so")
        until(lambda: len(session.places()) == 2)
        for container in (one, other, third):
            container(f"call {TIMES}")
            assert values(session) == VALUES
    assert kernel_things() == []


def test_a_library_by_its_name_wherever_it_is(host: Host, tmp_path: Path) -> None:
    copies = [tmp_path / folder / "libwherever-1.2.so.7" for folder in ("a", "b")]
    for copy in copies:
        copy.parent.mkdir()
        build_plugin(copy)
    with bp.Session(plug("wherever"), follow=True) as session:
        assert [str(one) for one in session.waits_for()] == ["plug waits for wherever"]
        for number, copy in enumerate(copies, 1):
            host(f"load {copy}")
            until(lambda number=number: len(session.places()) == number)
            host(f"call {TIMES}")
            assert values(session) == VALUES
        os.link(copies[0], tmp_path / "libwherever.so")
        host(f"load {tmp_path / 'libwherever.so'}", "call 1")
        assert len(values(session)) == 1, "the same file by another path"
        assert len(session.places()) == 2


@pytest.mark.parametrize("by_pid", [False, True])
def test_a_link_leads_to_a_file(host: Host, tmp_path: Path, by_pid: bool) -> None:
    """One that comes later, and that is turned to a file which was mapped by its own name."""
    link, folder = tmp_path / "current" / "plugin.so", tmp_path / "current"
    releases = [tmp_path / "1.2", tmp_path / "1.3"]
    for release in releases:
        release.mkdir()
        build_plugin(release / "plugin.so")
    with bp.Session(plug(link, pid=host.pid if by_pid else None), follow=True) as session:
        for release in releases:
            host("fork", f"load {release / 'plugin.so'}", f"call {TIMES}")
            assert list(session.events(duration=0)) == []
            folder.unlink(missing_ok=True)
            folder.symlink_to(release)
            host("exec", f"load {link}")
            path = str(release / "plugin.so")
            until(lambda path=path: path in [place.path for place in session.places()])
            host(f"call {TIMES}")
            assert values(session) == VALUES


def test_a_new_filter_holds_in_all_files(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "plugin.so"
    probe = plug(path, filter="n >= 1000")
    with bp.Session(probe, follow=True) as session:
        build_plugin(path)
        host(f"load {path}")
        until(session.places)
        for least in (1020, 1022, 1004):
            session.update(probe, filter=f"n >= {least}")
            host(f"call {TIMES}")
            assert values(session) == [pair for pair in VALUES if pair[0] >= least]


@pytest.mark.parametrize("executes", ["", "exec", "thread-exec"])
@pytest.mark.parametrize("target", [LiveTarget, OneByOne])
def test_children_of_a_process(
    host: Host, host_path: Path, tmp_path: Path, target: type[LiveTarget], executes: str
) -> None:
    path = build_plugin(tmp_path / "plugin.so")
    host(f"load {path}")
    told: list[str] = []
    session = bp.Session(plug(path, pid=host.pid), follow=True, target=target())
    session.on_notice(lambda notice: told.append(notice.code))
    with session, Host(host_path) as alien:
        alien(f"load {path}", f"call {TIMES}")
        host(f"call {TIMES}")
        assert values(session) == VALUES
        host("fork")
        until(lambda: told)
        if executes:
            host(executes, f"load {path}")
        # Links are of a process's first thread: another one's exec ends them.
        until(lambda: told.count("FOLLOWED") == 1 + (executes == "thread-exec"))
        assert [place.pid for place in session.places()] == [host.pid, host.child]
        host(f"call {TIMES}")
        events = list(session.events(duration=0))
        assert {event.pid for event in events} == {host.child}
        assert [(event.n, event.factor) for event in events] == VALUES
        host("quit")  # and the parent goes on
        until(lambda: [place.pid for place in session.places()] == [host.pid])
        host(f"call {TIMES}")
        assert values(session) == VALUES
        assert session.statistics().produced == 3 * TIMES
    assert balanced(session.statistics())
    assert kernel_things() == []


def test_processes_that_come_and_go(host_path: Path, host: Host, tmp_path: Path) -> None:
    path = tmp_path / "plugin.so"
    with bp.Session(plug(path), follow=True) as session:
        build_plugin(path)
        for _ in range(7):  # whether we are in time for the first is the machine's to say
            subprocess.run([host_path], input=f"load {path}\n", text=True, check=True)
        host(f"load {path}")
        until(session.places)
        host(f"call {TIMES}")
        assert values(session)[-TIMES:] == VALUES
        assert len(session.places()) == 1


def test_returns_with_what_was_kept_from_entry(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "plugin.so"
    probe = bp.uretprobe(str(path), "plug", n="$arg1:s64", result="$retval:s64", took="duration")
    with bp.Session(probe, follow=True) as session:
        build_plugin(path)
        host(f"load {path}")
        until(session.places)
        host(f"call {TIMES}")
        events = list(session.events(duration=0))
        assert [(event.n, event.result) for event in events] == [(n, -3 * n) for n, _ in VALUES]
        assert all(event.took > 0 for event in events)
        statistics = session.statistics()
    assert (statistics.missed, statistics.unmatched, statistics.in_flight) == (0, 0, 0)


MARKED = """
#include "HEADER"
__attribute__((section(".probes"), used, visibility("hidden"))) unsigned short counted_semaphore;
__attribute__((noinline, noipa)) long plug(long n, int factor)
{
    MARKER("shop", "sold", "counted_semaphore", "ARGUMENTS", "D"(n), "S"(factor));
    return n * factor;
}
""".replace("HEADER", str(Path(__file__).parents[1] / "marker.h"))


def test_markers_whose_arguments_are_elsewhere_in_each_file(
    host: Host, host_path: Path, tmp_path: Path
) -> None:
    path, told = tmp_path / "shop.so", list[str]()
    session = bp.Session(bp.usdt(str(path), "shop:sold", n="$arg1", factor="$arg2"), follow=True)
    session.on_notice(lambda notice: told.append(notice.code))
    with session, Host(host_path) as other:
        build_plugin(path, MARKED.replace("ARGUMENTS", "8@%%rdi -4@%%esi"))
        host(f"load {path}")
        until(session.places)
        host(f"call {TIMES}")
        assert values(session) == VALUES
        path.unlink()
        build_plugin(path, MARKED.replace("ARGUMENTS", "-4@%%esi 4@%%edi"))
        other(f"load {path}")
        until(lambda: len(session.places()) == 2)
        other(f"call {TIMES}")
        assert values(session) == [(factor, n) for n, factor in VALUES]
        host(f"call {TIMES}")
        assert values(session) == VALUES
    assert told == ["WAITS", "FOLLOWED", "FOLLOWED"]
    assert balanced(session.statistics())
    assert kernel_things() == []


def test_a_file_with_other_events_is_refused(host: Host, tmp_path: Path) -> None:
    path = build_plugin(tmp_path / "plugin.so")
    told: list[bp.Notice] = []
    session = bp.Session(bp.uprobe(str(path), "pl*", func="func"), follow=True)
    session.on_notice(told.append)
    with session:
        path.unlink()
        build_plugin(path, PLUGIN + PLUGIN.replace("plug", "plug_more"))
        host(f"load {path}")
        until(lambda: told)
        host("call 1")
        assert list(session.events(duration=0)) == []
        assert len(session.places()) == 1
    (notice,) = told
    assert notice.code == "REFUSED"
    assert str(notice) == (
        f"pl_ does not go to {path} of process {host.pid}: its events would be others in this "
        "file: func would be of another kind or size [FOLLOW_SHAPE]"
    )


def test_a_file_without_the_function_is_refused_until_it_is_another(
    host_path: Path, tmp_path: Path
) -> None:
    path, told = tmp_path / "plugin.so", list[str]()
    session = bp.Session(plug(path), follow=True)
    session.on_notice(lambda notice: told.append(str(notice)))
    with session:
        build_plugin(path, PLUGIN.replace("plug", "other"))
        for _ in range(3):
            with Host(host_path) as host:
                host.say(f"load {path}")
                host.process.wait()
        until(lambda: len(told) > 1)
        path.unlink()
        build_plugin(path)
        with Host(host_path) as host:
            host(f"load {path}")
            until(session.places)
            host(f"call {TIMES}")
            assert values(session) == VALUES
    # Of one that has ended before we came the file may be gone by then, which is told too.
    assert sum(f"{path} has no function plug" in line for line in told) == 1


def test_no_more_places_than_the_limit(host: Host, tmp_path: Path) -> None:
    copies = [tmp_path / folder / "libmany.so" for folder in "abcd"]
    for copy in copies:
        copy.parent.mkdir()
        build_plugin(copy, PLUGIN + PLUGIN.replace("plug", "plug_more"))
    told: list[str] = []
    session = bp.Session(bp.uprobe("many", "plug*"), follow=True, max_places=5)
    session.on_notice(lambda notice: told.append(f"{notice.code} {notice}"))
    with session:
        for copy in copies:
            host(f"load {copy}")
        until(lambda: len(told) == 4)
        host(f"call {TIMES}")
        assert [place.sites for place in session.places()] == [2, 2]
        assert list(session.events(duration=0)) == []
    assert told[3].startswith(f"REFUSED plug_ does not go to {copies[2]} of process {host.pid}: ")
    assert told[3].endswith("than max_places (--max-places) allows [FOLLOW_LIMIT]")
