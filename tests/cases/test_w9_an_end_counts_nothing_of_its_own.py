"""Once a session has ended its programs count nothing; what is open then is known by its return."""

from __future__ import annotations

import ctypes
import struct
from typing import TYPE_CHECKING

import pytest

import bpfprobe as bp
from bpfprobe.attach.ledger import Ledger
from bpfprobe.model.object import COUNTERS
from bpfprobe.model.parameters import end_write
from bpfprobe.testing import FakeEngine
from tests.machine.probes import Probes, registers
from tests.sample_machine import MACHINE, compiled

if TYPE_CHECKING:
    from collections.abc import Sequence

needs_bcc = pytest.mark.usefixtures("_bcc")
STACK = 0xFFFF_C900_0000_1000


@pytest.fixture
def _bcc() -> None:
    try:
        ctypes.CDLL("libbcc.so.0")
    except OSError as error:
        pytest.skip(f"needs libbcc: {error}")


def end(probes: Probes) -> None:
    """Do what a session does first when it is closed."""
    table = probes.machine.table(2)
    (value,) = table.items().values()
    offset, data = end_write(len(value), 1)
    table.set(bytes(4), value[:offset] + data)


def counts(probes: Probes) -> dict[str, int]:
    (value,) = probes.machine.table(1).items().values()
    named = dict(zip(COUNTERS, struct.unpack(f"<{len(COUNTERS)}Q", value), strict=True))
    return {name: count for name, count in named.items() if count and name != "quiet"}


@needs_bcc
@pytest.mark.parametrize("transport", ["ring", "perf"])
@pytest.mark.parametrize(
    "probe",
    [
        bp.kprobe("vfs_read", n="count"),
        bp.kprobe("vfs_read", filter="count > 3 && pid != 3"),
        bp.kprobe("vfs_read", name="+u0(buf):string", filter='name ~ "*pass*"'),  # in memory early
        bp.kprobe("vfs_read", filter="time > 1"),  # the time is taken before
        bp.uprobe("bash", "main", name="+u0(%si):string", filter='name ~ "*pass*"'),  # in a slot
    ],
)
def test_a_hit_after_the_end(probe: bp.Probe, transport: str) -> None:
    probes = Probes([probe], MACHINE, options=bp.Options(transport=transport))
    text = probes.machine.memory.place(0x7000, b"/etc/passwd\0")
    (name,) = probes.names
    context = registers(si=text, dx=4097)
    for _ in range(7):
        probes.run(name, context)
    assert len(probes.events()) == 7
    before = counts(probes)
    assert before == {"produced": 7}
    end(probes)
    for _ in range(23):  # more than there are slots
        probes.run(name, context)
    assert probes.events() == []
    assert counts(probes) == before


@needs_bcc
@pytest.mark.parametrize("values", [{"took": "duration"}, {"n": "entry(count)"}, {}])
def test_calls_that_are_open_at_the_end(values: dict[str, str]) -> None:
    probes = Probes([bp.kretprobe("vfs_read", captures=values, filter="retval != 5")], MACHINE)
    entry, back = probes.names
    inflight = probes.machine.table(3)
    for depth in range(3):
        probes.run(entry, registers(sp=STACK - 64 * depth))
    end(probes)
    probes.run(back, registers(sp=STACK - 128 + 8, ax=1))
    assert counts(probes) == {"entries": 3, "after_end": 1}, "it was open, and has returned"
    probes.run(entry, registers(sp=STACK - 64))
    assert len(inflight.items()) == 1, "the call before it at that place was never seen to return"
    probes.run(back, registers(sp=STACK - 64 + 8))
    assert counts(probes) == {"entries": 3, "after_end": 1}
    assert probes.events() == []


class Returning(FakeEngine):
    """Calls return while they are being looked for."""

    def __init__(self, looks: Sequence[tuple[dict[str, int], int]]) -> None:
        super().__init__(cpus=1)
        self._looks, self._seen = looks, -1

    def read_percpu(self, map_fd: int, key: int, value_size: int) -> list[bytes]:
        self._seen = min(self._seen + 1, len(self._looks) - 1)
        counts = self._looks[self._seen][0]
        return [struct.pack(f"<{len(COUNTERS)}Q", *(counts.get(name, 0) for name in COUNTERS))]

    def keys(self, map_fd: int, key_size: int) -> list[bytes]:
        return [bytes([thread, *bytes(15)]) for thread in range(self._looks[self._seen][1])]


@pytest.mark.parametrize(
    ("looks", "missed", "in_flight"),
    [
        ([({"entries": 5, "produced": 3}, 2)], 0, 2),
        ([({"entries": 5, "produced": 3}, 0)], 2, 0),
        # one of two returns while it is looked for; looked at again, all is in order
        ([({"entries": 5, "produced": 3}, 1), ({"entries": 5, "produced": 3, "after_end": 1}, 1)],
         0, 2),
        ([({"entries": 5, "refused": 4, "after_end": 1}, 0)], 0, 1),
        ([({"entries": 5, "produced": 2, "inflight_full": 1}, 2)], 1, 2),
    ],
)  # fmt: skip
def test_what_is_a_miss(
    looks: list[tuple[dict[str, int], int]], missed: int, in_flight: int
) -> None:
    wiring = compiled(bp.kretprobe("vfs_read", took="duration"), target=MACHINE).wiring
    ledger = Ledger(wiring, Returning(looks), range(4), lambda thread, function: None)
    tally = ledger.tally(0, None, ended=True)
    assert (tally.missed, tally.in_flight) == (missed, in_flight)


def test_counting_ends_before_anything_is_detached(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, seen = FakeEngine(), list[bytes]()
    detach = engine.detach
    probes = [bp.kprobe("vfs_read"), bp.kretprobe("vfs_write")]

    def detaching(links: list[object]) -> None:
        seen.append(engine.values["parameters"][-16:])
        detach(links)  # type: ignore[arg-type]  # they are links

    monkeypatch.setattr(engine, "detach", detaching)
    with bp.Session(*probes, target=MACHINE, engine=engine) as session:
        assert list(session.events(duration=0)) == []
        assert engine.values["parameters"][-16:] == struct.pack("<QQ", 0, 1)
        assert list(session.events(duration=0, last=True)) == []
        assert engine.values["parameters"][-16:] == b"\xff" * 16
        assert list(session) == [], "nothing comes any more, so nothing is waited for"
    assert seen[0] == b"\xff" * 16
