"""When a session is started anew, and when from what was kept: on fakes, counted."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest

import bpfprobe as bp
from bpfprobe import pipeline, starting
from bpfprobe.store import starts
from bpfprobe.store.start import decode_start
from bpfprobe.testing import FakeEngine
from tests.sample_machine import MACHINE, machine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bpfprobe.engine import Link
    from bpfprobe.model.object import Bytecode, CSource
    from bpfprobe.model.site import Site
    from bpfprobe.testing import StaticTarget

READS = bp.kprobe("vfs_read", n="count:u64", filter="n > 1000")


class Compiler(FakeEngine):
    """An engine that says which compiler it has."""

    name = "libbcc 1"

    def compiler(self) -> str:
        return self.name


class Machine:
    """A machine with a cache: it counts how often all stages ran, and how often the compiler."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.target: StaticTarget = MACHINE
        self.compiler = "libbcc 1"
        self.engine = Compiler()
        self.described = self.compiled = 0
        describe = pipeline.describe

        def counted(*arguments: Any) -> Any:
            self.described += 1
            return describe(*arguments)

        monkeypatch.setattr(pipeline, "describe", counted)
        monkeypatch.setattr(starting, "live_target", lambda: self.target)
        monkeypatch.setattr(starting, "live_engine", lambda: self.engine)

    def start(self, *probes: bp.Probe, **options: Any) -> Compiler:
        """Open and close a session, and give its engine."""
        engine = self.engine = Compiler()
        engine.name = self.compiler
        with bp.Session(*(probes or (READS,)), **options):
            assert len(engine.attached) == len(engine.programs) > 0
        self.compiled += len(engine.sources)
        return engine

    @property
    def counts(self) -> tuple[int, int]:
        return self.described, self.compiled


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BPFPROBE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "objects"


@pytest.fixture
def live(cached: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def of_kind(cached: Path, prefix: str) -> list[Path]:
    return sorted(path for path in cached.iterdir() if path.name.startswith(prefix))


def test_the_second_start_needs_no_stage(live: Machine) -> None:
    live.start()
    assert live.counts == (1, 1)
    for _ in range(3):
        live.start()
    assert live.counts == (1, 1)


@pytest.mark.parametrize(("option", "first", "second"), [
    ("pid", 7, 1 << 31), ("tid", 7, 8), ("uid", 7, 0), ("not_pid", 7, 8), ("latency_s", 1, 2),
])  # fmt: skip
def test_another_value_of_an_option_is_no_other_program(
    live: Machine, option: str, first: int, second: int
) -> None:
    live.start(**{option: first})
    live.start(**{option: second})
    assert live.counts == (1, 1)


def test_the_value_is_the_one_of_now(live: Machine) -> None:
    blocks = []
    for pid in (7, 8, 7):
        engine = Compiler()
        with bp.Session(READS, engine=engine, pid=pid):
            (params,) = [m for m in engine.maps.values() if m.name == "parameters"]
            blocks.append(params.initial)
    assert live.counts[0] == 1
    assert blocks[0] == blocks[2] != blocks[1]
    fresh = Compiler()
    with bp.Session(READS, target=MACHINE, engine=fresh, pid=8):
        (params,) = [m for m in fresh.maps.values() if m.name == "parameters"]
    assert params.initial == blocks[1]


def test_another_threshold_is_described_and_not_compiled(live: Machine) -> None:
    live.start()
    live.start(bp.kprobe("vfs_read", n="count:u64", filter="n > 2000"))
    assert live.counts == (2, 1)


def test_other_c_is_compiled(live: Machine) -> None:
    live.start()
    live.start(bp.kprobe("vfs_read", n="count:u32", filter="n > 1000"))
    assert live.counts == (2, 2)


def test_text_is_kept_as_calls_are(live: Machine) -> None:
    for _ in range(2):
        live.start(bp.probe("kprobe:vfs_read count"), bp.probe("kretprobe:vfs_write retval"))
    assert live.counts == (1, 1)


class Ahead(Compiler):
    """An engine that tells of its compiler's life."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    @contextmanager
    def compiling_soon(self) -> Iterator[None]:
        self.told.append("starts")
        try:
            yield
        finally:
            self.told.append("ends")

    def compile(self, source: CSource) -> tuple[Bytecode, ...]:
        self.told.append("compiles")
        return super().compile(source)

    def attach(self, program_fd: int, site: Site) -> Link:
        self.told.append("attaches")
        return super().attach(program_fd, site)


def life(*probes: bp.Probe | bp.ProbeSpec, **options: Any) -> list[str]:
    engine = Ahead()
    with (
        suppress(bp.BpfprobeError, KeyboardInterrupt),
        bp.Session(*probes, engine=engine, **options),
    ):
        pass
    return engine.told


@pytest.mark.usefixtures("live")
def test_a_compiler_starts_ahead_only_if_it_is_sure_to_be_needed() -> None:
    definition = "p:seen vfs_read n=count:u64 if n > 1000"
    whole = ["starts", "compiles", "ends", "attaches"]
    assert life(bp.probe(definition)) == whole
    assert life(bp.probe(definition)) == ["attaches"]
    # Described before, under other options: the C was most likely compiled.
    assert life(bp.probe(definition), buffer_bytes=1 << 20) == ["attaches"]
    assert life(bp.probe(definition), transport="perf") == ["compiles", "attaches"]
    assert life(bp.probe(definition), bp.kprobe("vfs_write")) == [*whole, "attaches"]
    assert life(bp.kprobe("vfs_read", event="other").spec) == ["compiles", "attaches"]


@pytest.mark.usefixtures("live")
def test_a_compiler_that_started_ahead_ends_with_what_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert life(bp.kprobe("vfs_reed")) == ["starts", "ends"]
    monkeypatch.setattr(pipeline, "describe", raising(KeyboardInterrupt))
    assert life(bp.kprobe("vfs_write")) == ["starts", "ends"]


def raising(error: type[BaseException]) -> Any:
    def call(*arguments: Any) -> Any:
        raise error

    return call


@pytest.mark.usefixtures("live")
def test_a_compiler_that_started_ahead_ends_with_an_end_of_its_own() -> None:
    engine = Ahead()
    engine.fail("create_map", bp.PrivilegeError("no"))
    with pytest.raises(bp.PrivilegeError), bp.Session(bp.kprobe("vfs_write"), engine=engine):
        pass
    assert engine.told == ["starts", "ends"]


def test_events_are_the_same(live: Machine) -> None:
    from bpfprobe.testing import pack_record

    probe = bp.kretprobe("vfs_write", n="count:u32", name="+0(buf):ustring", took="duration")
    layouts, engines = [], []
    for _ in range(2):
        engine = Compiler()
        with bp.Session(probe, engine=engine) as session:
            layouts.append(session.event_type(probe).layout)
            engine.push(pack_record(layouts[0], n=7, name="x"))
            (event,) = session.events(duration=0)
            assert (event.n, event.name) == (7, "x")
            engines.append((list(engine.maps.values()), engine.attached))
    assert live.described == 1
    assert layouts[0] == layouts[1]
    assert engines[0] == engines[1]


def test_a_change_of_the_filter_after_a_warm_start(live: Machine) -> None:
    live.start()
    engine = Compiler()
    with bp.Session(READS, engine=engine) as session:
        assert live.counts == (1, 1)
        session.update(filter="n > 5")
    assert live.compiled + len(engine.sources) == 1


def test_another_compiler_compiles_again(live: Machine) -> None:
    live.start()
    live.compiler = "libbcc 2"
    live.start()
    assert live.counts == (2, 2)


def test_a_compiler_that_has_gone_leaves_what_it_made(live: Machine) -> None:
    live.start()
    live.compiler = ""
    live.start()
    assert live.counts == (1, 1)
    live.start(bp.kprobe("vfs_write"))
    live.start(bp.kprobe("vfs_write"))
    assert live.counts == (3, 3), "what nobody knows the compiler of is not kept"


def test_another_boot_describes_again(live: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    live.start()
    monkeypatch.setattr(starting, "boot_id", lambda: "another")
    live.start()
    assert live.counts == (2, 1)
    monkeypatch.setattr(starting, "boot_id", lambda: "")
    live.start()
    live.start()
    assert live.counts == (4, 1)


def test_another_bpfprobe_describes_again(live: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    live.start()
    monkeypatch.setattr(starts, "fingerprint", lambda: b"edited")
    live.start()
    assert live.counts == (2, 1)


def test_a_target_of_the_users_is_never_kept(live: Machine, cached: Path) -> None:
    for _ in range(2):
        with bp.Session(READS, target=MACHINE, engine=Compiler()):
            pass
    assert live.described == 2
    assert of_kind(cached, "start-") == []


def test_an_engine_without_a_compiler_keeps_nothing(live: Machine, cached: Path) -> None:
    for _ in range(2):
        with bp.Session(READS, engine=FakeEngine()):
            pass
    assert live.described == 2
    assert not cached.exists()
    live.start()
    with bp.Session(READS, engine=FakeEngine()):
        assert live.described == 4, "nor does it take what another made"


def test_a_spec_by_itself_is_not_kept(live: Machine, cached: Path) -> None:
    for _ in range(2):
        live.start(READS.spec)  # type: ignore[arg-type]
    assert live.counts == (2, 1)
    assert of_kind(cached, "start-") == []


def test_with_the_cache_off(live: Machine, cached: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BPFPROBE_CACHE", "off")
    live.start()
    live.start()
    assert live.counts == (2, 2)
    assert not cached.exists()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(path.read_bytes()[:100] + b"!" + path.read_bytes()[101:]),
        lambda path: path.write_bytes(b""),
        lambda path: path.chmod(0o666),
        lambda path: (path.rename(path.with_name("x")), path.symlink_to("x")),
        lambda path: (path.unlink(), os.mkfifo(path, 0o600)),
        lambda path: path.unlink(),
    ],
    ids=["cut", "bit", "empty", "writable", "link", "fifo", "gone"],
)
@pytest.mark.parametrize("prefix", ["start-", "code-"])
def test_what_is_odd_is_made_again(live: Machine, cached: Path, spoil: Any, prefix: str) -> None:
    live.start()
    (path,) = of_kind(cached, prefix)
    if prefix == "code-":
        of_kind(cached, "start-")[0].unlink()
    spoil(path)
    live.start()
    assert live.counts == (2, 1 + (prefix == "code-"))
    live.start()
    assert live.counts == (2, 1 + (prefix == "code-"))
    assert path.is_file()


@pytest.mark.parametrize("mode", [0o777, 0o750])
def test_a_folder_that_is_open_to_others_is_not_used(
    live: Machine, cached: Path, mode: int
) -> None:
    live.start()
    cached.chmod(mode)
    before = sorted(path.name for path in cached.iterdir())
    live.start()
    live.start()
    assert live.counts == (3, 3)
    assert sorted(path.name for path in cached.iterdir()) == before


def test_what_cannot_be_attached_any_more_is_told_by_all_stages(
    live: Machine, cached: Path
) -> None:
    live.start()
    engine = Compiler()
    engine.refuse("vfs_read", errno.ENOENT)
    with pytest.raises(bp.AttachError), bp.Session(READS, engine=engine):
        pass
    assert live.described == 2
    assert engine.is_idle
    assert of_kind(cached, "start-") == []
    live.start()
    assert live.counts == (3, 1)


def test_a_function_that_has_gone_is_told_as_at_first(live: Machine) -> None:
    live.start()
    live.target = machine(functions=())
    engine = live.engine = Compiler()
    engine.refuse("vfs_read", errno.ENOENT)
    with pytest.raises(bp.SpecError, match="has no function vfs_read"):
        bp.Session(READS).open()
    assert engine.is_idle


def test_what_was_never_attached_is_not_kept(live: Machine, cached: Path) -> None:
    engine = Compiler()
    engine.refuse("vfs_read", errno.EINVAL)
    with pytest.raises(bp.AttachError), bp.Session(READS, engine=engine):
        pass
    assert of_kind(cached, "start-") == []
    assert len(of_kind(cached, "code-")) == 1


def test_what_cannot_be_written_is_not_kept(
    live: Machine, cached: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unable(*_: Any) -> None:
        raise TypeError("a new noun")

    monkeypatch.setattr("bpfprobe.store.start.write_noun", unable)
    live.start()
    live.start()
    assert live.counts == (2, 1)
    assert of_kind(cached, "start-") == []


def test_the_file_of_a_start_says_what_it_is(live: Machine, cached: Path) -> None:
    live.start(pid=7)
    start = decode_start(of_kind(cached, "start-")[0].read_bytes())
    assert (start.label, start.release) == ("kprobe:vfs_read", MACHINE.facts().release)
    assert (start.compiler, start.constants) == ("libbcc 1", ())
    assert all(code.lines == () for code in start.object.programs)
