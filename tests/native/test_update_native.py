"""Filters and options changed in a session while the program that it watches runs flat out."""

from __future__ import annotations

import subprocess
import time
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

import bpfprobe as bp
from bpfprobe.engine.live import LiveEngine
from bpfprobe.errors import LoadError
from bpfprobe.model.object import MMAPABLE, MapDef, MapKind
from tests.native.programs import Program, Worker, needs_uprobes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = needs_uprobes

ONE, OTHER = "one" * 60, "two" * 60  # each has many words, all of which differ
CYCLE = 32
SOURCE = f"""
#include <string.h>
static char texts[2][256] = {{"{ONE}", "{OTHER}"}};
__attribute__((noinline, noclone, noipa)) void call(long n, const char *text, long number)
{{
    asm volatile("" ::"r"(n), "r"(text), "r"(number) : "memory");
}}
int main(void)
{{
    /* once in a cycle each right pair, and else always a wrong one */
    for (long n = 0;; n++) {{
        int turn = n % {CYCLE};
        if (turn < 2)
            call(n, texts[turn], 1009 + turn);
        else
            call(n, texts[turn & 1], 1009 + !(turn & 1));
    }}
}}
"""


@pytest.fixture(scope="module")
def flooding(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flood")
    (folder / "flood.c").write_text(SOURCE)
    subprocess.run(["gcc", "-O1", "-o", folder / "flood", folder / "flood.c"], check=True)
    return folder / "flood"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return Program.build(tmp_path_factory.mktemp("program"))


@contextmanager
def running(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([path]) as process:
        try:
            yield process
        finally:
            process.kill()


def everything(session: bp.Session) -> list[Any]:
    return sorted(session.events(duration=0), key=lambda event: event.time)


def text_and_number(turn: int) -> str:
    return f'text == "{(ONE, OTHER)[turn]}" && number == {1009 + turn}'


@pytest.mark.parametrize("transport", ["ring", "perf"])
def test_every_hit_is_judged_by_one_filter_and_none_is_lost(flooding: Path, transport: str) -> None:
    updates = 1009 if transport == "ring" else 101
    with running(flooding) as process:
        probe = bp.uprobe(
            str(flooding), "call", pid=process.pid, comm=False, n="$arg1:u64", number="$arg3:s64",
            filter=text_and_number(0).replace("text", "+u0($arg2)").replace("number", "$arg3"),
        )  # fmt: skip
        numbers = []
        with bp.Session(probe, transport=transport, buffer_bytes=8 << 20) as session:
            for update in range(1, updates + 1):
                new = text_and_number(update % 2)
                session.update(filter=new.replace("text", "+u0($arg2)").replace("number", "$arg3"))
                # Whatever comes now was judged by the new one, and once one of its hits was seen it
                # is time for the next: so an update that nothing was judged by hides no loss.
                after = session.statistics().produced
                deadline = time.monotonic() + 30
                while len(numbers) <= after:
                    assert time.monotonic() < deadline, "no hit for the new filter"
                    numbers += [(event.n, event.number) for event in everything(session)]
                assert {number for _, number in numbers[after:]} == {1009 + update % 2}
            process.kill()
            numbers += [(event.n, event.number) for event in everything(session)]
            statistics = session.statistics()
    assert statistics.lost == 0
    assert statistics.produced == len(numbers)
    assert {n % CYCLE for n, _ in numbers} == {0, 1}, "a wrong pair got through"
    assert {number - n % CYCLE for n, number in numbers} == {1009}
    switches = 0
    for (n, _), (following, _) in pairwise(numbers):
        step = following - n
        if n % CYCLE == following % CYCLE:
            assert step == CYCLE, f"between {n} and {following} one was lost"
        else:
            # where the new one began between the two right pairs of a cycle, the next is for it
            switches += 1
            assert 0 < step < 2 * CYCLE
    assert switches in (updates - 1, updates)  # the first filter may have seen no hit


def test_a_number_in_place(program: Program) -> None:
    with Worker(program) as one, Worker(program) as other:
        everyone = bp.uprobe(program.path, "hot", n="$arg1")
        with bp.Session(everyone, pid=one.pid) as session:
            for watched, ignored in ((one, other), (other, one), (one, other)):
                session.update(pid=watched.pid)
                watched.hot(23)
                ignored.hot(7)
                assert [event.pid for event in everything(session)] == [watched.pid] * 23
            assert session.statistics().complete


def test_a_glob_and_a_return(program: Program) -> None:
    probe = bp.uretprobe(
        program.path, "text", s="$arg1:ustring", size="$arg2",
        filter='s ~ "*[a-c]?x" && size > 3',
    )  # fmt: skip
    texts = [b"zzbyx", b"zzdyx", b"zzdy", b"dyx"]
    with Worker(program) as worker, bp.Session(probe, pid=worker.pid) as session:
        for glob, least, wanted in (
            ("*[a-c]?x", 3, [b"zzbyx"]),
            ("*d?*", 2, [b"zzdyx", b"zzdy", b"dyx"]),
            ("*d*y", 2, [b"zzdy"]),
        ):
            session.update(filter=f's ~ "{glob}" && size > {least}')
            worker.text(*texts)
            assert [event.raw("s") for event in everything(session)] == wanted


def test_a_map_that_cannot_be_written_so() -> None:
    engine = LiveEngine()
    whole = MapDef("value", MapKind.ARRAY, 4, 16, 1, MMAPABLE, bytes(range(16)))
    fd = engine.create_map(whole)
    value = engine.map_value(fd, 16)
    value.write([(8, b"\xff" * 8), (0, b"\x01" * 8)])
    engine.await_programs()
    value.close()
    engine.close_fd(fd)
    fd = engine.create_map(MapDef("value", MapKind.ARRAY, 4, 16, 1))
    with pytest.raises(LoadError) as caught:
        engine.map_value(fd, 16)
    assert caught.value.code == "MAP_WRITE"
    engine.close_fd(fd)
