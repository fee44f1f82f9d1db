"""Probes on functions of a program that the test started, from description to event."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import pytest

import bpfprobe as bp
from tests.native.programs import Program, Worker, needs_uprobes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = needs_uprobes

ENTERED = [(1000 + i, -3) for i in range(23)]
RETURNED = [(n, factor, n * factor) for n, factor in ENTERED]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return Program.build(tmp_path_factory.mktemp("program"))


@pytest.fixture
def worker(program: Program) -> Iterator[Worker]:
    with Worker(program) as worker:
        yield worker


def everything(session: bp.Session) -> list[Any]:
    """The events that are there now; perf buffers hand out those of a CPU together."""
    return sorted(session.events(duration=0), key=lambda event: event.time)


def values(events: list[Any], probe: bp.Probe, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(getattr(e, n) for n in names) for e in events if e.probe == probe.name]


@pytest.mark.parametrize("layout", [["-fPIE", "-pie"], ["-fno-pie", "-no-pie"]], ids=str)
def test_every_way_to_say_where(
    layout: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    program = Program.build(tmp_path_factory.mktemp("program"), *layout)
    path, hot, inside = program.path, program.symbols["hot"], program.inside
    offset = program.file_offset("hot")
    assert inside > 0
    arguments = {"n": "$arg1", "factor": "$arg2:s32"}
    registers = {"n": "%di", "factor": "%si:s32"}
    results = {**arguments, "result": "$retval", "took": "duration"}
    entries = [
        bp.uprobe(path, "hot", event="symbol", **arguments),
        bp.uprobe(path, f"hot+{inside}", event="symbol_plus", **registers),
        bp.uprobe(path, address=hot, event="address", **arguments),
        bp.uprobe(path, address=hot + inside, event="address_plus", **registers),
        bp.uprobe(path, offset=offset, event="offset", **arguments),
        bp.probe(f"kinds=uprobe:{path}:{offset:#x} n=$arg1 factor=$arg2:s32"),
        bp.probe(f"p:kernels {path}:{offset:#x} n=%di:s64 factor=%si:s32"),
    ]
    returns = [
        bp.uretprobe(path, "hot", event="symbol_returned", **results),
        bp.uretprobe(path, address=hot, event="address_returned", **results),
        bp.uretprobe(path, offset=offset, event="offset_returned", **results),
    ]
    with Worker(program) as worker:
        with bp.Session(*entries, *returns, pid=worker.pid) as session:
            worker.hot(23)
            events = everything(session)
            statistics = session.statistics()
        worker.hot(5)  # nothing is there any more
    for probe in entries:
        assert values(events, probe, "n", "factor") == ENTERED, probe.name
    for probe in returns:
        assert values(events, probe, "n", "factor", "result") == RETURNED, probe.name
        assert all(took > 0 for (took,) in values(events, probe, "took"))
    assert statistics == bp.Statistics(produced=230, delivered=230)
    assert {event.pid for event in events} == {worker.pid}


@pytest.mark.parametrize("transport", ["ring", "perf"])
def test_each_call_of_a_recursion_keeps_its_own(worker: Worker, transport: str) -> None:
    path = worker.program.path
    probe = bp.uretprobe(path, "descend", n="$arg1", result="$retval", took="duration")
    with bp.Session(probe, pid=worker.pid, transport=transport) as session:
        worker.descend(23)
        events = everything(session)
        assert session.statistics() == bp.Statistics(produced=23, delivered=23)
    assert [(e.n, e.result) for e in events] == [(n, n * (n + 1) // 2) for n in range(1, 24)]
    took = [event.took for event in events]
    assert took == sorted(took)  # whoever calls takes longer than whom it calls
    assert took[0] > 0


@pytest.mark.parametrize("transport", ["ring", "perf"])
@pytest.mark.parametrize("room", [2, 17, 512])
def test_where_a_string_is_cut(worker: Worker, transport: str, room: int) -> None:
    texts = [b"x" * size for size in (0, 1, room - 2, room - 1, room, 3 * room)]
    probe = bp.uprobe(
        worker.program.path, "text", s="$arg1:ustring", size="$arg2", t="$arg1:string",
        string_bytes=room,
    )  # fmt: skip
    with bp.Session(probe, pid=worker.pid, transport=transport) as session:
        worker.text(*texts)
        events = everything(session)
        statistics = session.statistics()
    cut = frozenset({"s", "t"})
    assert [(e.raw("s"), e.raw("t"), e.size, e.truncated, e.faults) for e in events] == [
        (t[: room - 1], t[: room - 1], len(t), cut if len(t) >= room else frozenset(), frozenset())
        for t in texts
    ]
    assert statistics.truncated == 2 * sum(len(t) >= room for t in texts)
    assert statistics.complete


@pytest.mark.parametrize("transport", ["ring", "perf"])
def test_what_no_one_has_touched_is_a_fault(worker: Worker, transport: str) -> None:
    probe = bp.uprobe(
        worker.program.path, "text", s="$arg1:ustring", size="$arg2", words="+0($arg1):u16[3]",
        eight="+0($arg1):u64",
    )  # fmt: skip
    with bp.Session(probe, pid=worker.pid, transport=transport) as session:
        worker.untouched(7)
        worker.text(b"abcdefgh")
        *cold, warm = everything(session)
        assert session.statistics().faults == 21
    faulted = frozenset({"s", "words", "eight"})
    assert [(e.s, e.size, e.words, e.eight, e.faults) for e in cold] == 7 * [
        (None, 0, None, None, faulted)
    ]
    assert (warm.s, warm.eight, warm.faults) == ("abcdefgh", 0x6867666564636261, frozenset())
    assert warm.words == (0x6261, 0x6463, 0x6665)


NUMBERS = {
    "n == 1007": lambda n: n == 1007,
    "n != 1007": lambda n: n != 1007,
    "n < 1003 || n >= 1019": lambda n: n < 1003 or n >= 1019,
    "n & 1 && factor < 0": lambda n: n & 1,
    "!(n > 1000) || n % 7 == 0": lambda n: n <= 1000 or n % 7 == 0,
    "n * factor == -3039": lambda n: n == 1013,
    "factor > 0": lambda n: False,
    'comm == "program"': lambda n: True,
    'comm != "program"': lambda n: False,
    'comm ~ "pro*"': lambda n: True,
    "pid == 0": lambda n: False,
}


@pytest.mark.parametrize("transport", ["ring", "perf"])
def test_filters_on_numbers(worker: Worker, transport: str) -> None:
    probes = [
        bp.uprobe(
            worker.program.path,
            "hot",
            filter=text,
            event=f"filter{i}",
            n="$arg1",
            factor="$arg2:s32",
        )
        for i, text in enumerate(NUMBERS)
    ]
    with bp.Session(*probes, pid=worker.pid, transport=transport) as session:
        worker.hot(23)
        events = everything(session)
    for (text, keeps), probe in zip(NUMBERS.items(), probes, strict=True):
        wanted = [(n,) for n, _ in ENTERED if keeps(n)]
        assert values(events, probe, "n") == wanted, text


TEXTS = [b"", b"a", b"/tmp/a", b"/tmp/", b"/tmp", b"/tmp/b/c.so", b"/usr/lib/x.so.1", b"[x]", b"-",
         b"\xff\xfe", b"y" * 63, b"y" * 64, b"y" * 200, "grün".encode()]  # fmt: skip
GLOBS = ["*", "/tmp/*", "/tmp/?", "*.so", "*.so*", "/*/*/*", "[abc]", "[!a-z/]*", "?", "y*", "*y",
         "y" * 64 + "*"]  # fmt: skip
LITERALS = [b"/tmp/a", b"", b"/tmp", b"\xff\xfe", b"y" * 63, b"y" * 64, b"y" * 200]


def quoted(text: bytes) -> str:
    return '"' + "".join(f"\\x{byte:02x}" for byte in text) + '"'


def equality() -> Iterator[tuple[str, set[bytes]]]:
    """Each filter, and the texts it lets through."""
    for literal in LITERALS:
        yield f"s == {quoted(literal)}", {literal} & set(TEXTS)
    for literal in LITERALS[:4]:
        yield f"s != {quoted(literal)}", set(TEXTS) - {literal}


def globs() -> Iterator[tuple[str, set[bytes]]]:
    for glob in GLOBS:
        yield f's ~ "{glob}"', {t for t in TEXTS if fnmatchcase(t.decode("latin-1"), glob)}


def combinations() -> Iterator[tuple[str, set[bytes]]]:
    yield 's ~ "/tmp/*" && s != "/tmp/"', {b"/tmp/a", b"/tmp/b/c.so"}
    yield 's == "a" || s ~ "*.so"', {b"a", b"/tmp/b/c.so"}
    yield '!(s ~ "/tmp/*") && size > 64', {b"y" * 200}


@pytest.mark.parametrize(
    ("filters", "transport"),
    [(equality, "ring"), (globs, "ring"), (combinations, "ring"), (combinations, "perf")],
)
def test_filters_on_strings(
    worker: Worker, filters: Callable[[], Iterator[tuple[str, set[bytes]]]], transport: str
) -> None:
    table = list(filters())
    probes = [
        bp.uprobe(
            worker.program.path,
            "text",
            filter=f,
            event=f"filter{i}",
            s="$arg1:ustring",
            size="$arg2",
        )
        for i, (f, _) in enumerate(table)
    ]
    with bp.Session(*probes, pid=worker.pid, transport=transport) as session:
        worker.text(*TEXTS)
        worker.untouched(1)  # neither equal nor different
        events = everything(session)
    for (text, wanted), probe in zip(table, probes, strict=True):
        seen = [event.raw("s") for event in events if event.probe == probe.name]
        assert seen == [t for t in TEXTS if t in wanted], text


def test_only_the_process_that_was_asked_for(program: Program) -> None:
    everyone = bp.uprobe(program.path, "hot", event="everyone", n="$arg1")
    with Worker(program) as one, Worker(program) as other:
        own = bp.uprobe(program.path, "hot", event="own", pid=other.pid, n="$arg1")
        with bp.Session(everyone, own) as session:
            one.hot(23)
            other.hot(7)
            events = everything(session)
        assert [e.pid for e in events if e.probe == "everyone"] == [one.pid] * 23 + [other.pid] * 7
        assert [e.pid for e in events if e.probe == "own"] == [other.pid] * 7
        for option in ({"pid": one.pid}, {"tid": one.pid}, {"not_pid": other.pid}):
            with bp.Session(everyone, **option) as session:
                one.hot(23)
                other.hot(7)
                assert [e.pid for e in everything(session)] == [one.pid] * 23


def test_an_event_cannot_be_changed(worker: Worker) -> None:
    with bp.Session(bp.uprobe(worker.program.path, "hot", n="$arg1"), pid=worker.pid) as session:
        worker.hot(1)
        (event,) = everything(session)
    for name in ("n", "pid", "anything"):
        with pytest.raises(AttributeError):
            setattr(event, name, 1)
    assert event.n == 1000
    assert hash(event) == hash(event)
