"""What a session tells beside its events, before anything is attached."""

from __future__ import annotations

import pytest

import bpfprobe as bp
from bpfprobe import starting
from bpfprobe.testing import FakeEngine
from tests.sample_machine import machine

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
