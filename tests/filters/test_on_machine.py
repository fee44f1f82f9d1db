"""Random filters, compiled and run in Python, against what they mean."""

from __future__ import annotations

import ctypes
import os

import pytest

import bpfprobe as bp
from tests.filters.fields import as_fields, block, captures, drawn_fields, hits, named_in
from tests.filters.random_filters import RandomFilters
from tests.filters.verdicts import Judge
from tests.machine.machine import Task
from tests.machine.probes import Probes, registers
from tests.sample_machine import MACHINE

FILTERS = int(os.environ.get("BPFPROBE_FILTERS", "29"))
LONGEST = 64  # longer texts take long to go through here; the guest tests have them
AT_ONCE = 10
BLOCKS, TEXTS, NOWHERE = 0x10_0000, 0x20_0000, 0x30_0000
FIELDS = captures("%si")
SYMBOLS = ("vfs_read", "vfs_write")
FUNCTIONS = {
    name: (symbol.address, symbol.address + 0x100)
    for name in SYMBOLS
    for symbol in MACHINE.symbols(name)
}
PLACES = tuple(at for start, end in FUNCTIONS.values() for at in (start, end - 1, end, start - 1))


@pytest.fixture(autouse=True)
def _library() -> None:
    try:
        ctypes.CDLL("libbcc.so.0")
    except OSError as error:
        pytest.skip(f"needs libbcc: {error}")


HITS = [
    values
    for values in hits(PLACES)
    if not isinstance(values["text"], bytes) or len(values["text"]) <= LONGEST
]


def kept(filters: list[str]) -> list[set[int]]:
    """The numbers of the hits that each filter keeps."""
    specs = [
        bp.probe(" ".join([f"p:f{n} untyped seq=%dx:u32", *named_in(text, FIELDS), "if", text]))
        for n, text in enumerate(filters)
    ]
    probes = Probes(specs, MACHINE, Task(comm="driver"))
    found: list[set[int]] = [set() for _ in filters]
    for number, values in enumerate(HITS):
        text = values["text"]
        at = NOWHERE
        if isinstance(text, bytes):
            at = probes.machine.memory.place(TEXTS + 4096 * number, text + b"\0")
        place = probes.machine.memory.place(BLOCKS + 64 * number, block(values, at))
        for name in probes.names:
            probes.run(name, registers(si=place, dx=number))
        for event in probes.events():
            found[int(type(event).__name__[1:])].add(event.seq)
    return found


@pytest.mark.parametrize("value", ["text=+u0(%si):ustring", "first=+u0(%si):u8"])
def test_as_much_of_a_text_is_seen_whether_or_not_it_is_captured(value: str) -> None:
    field = "text" if value.startswith("text") else "+u0(%si)"
    texts = (b"y" * 1022 + b"z", b"y" * 1023 + b"z", b"y" * 2000, b"yz", b"")
    for glob, wanted in {"*z": [0, 3], "[x-z]*": [0, 1, 2, 3], "*y?": [0, 1, 2, 3]}.items():
        spec = bp.probe(f'p:f untyped seq=%dx:u32 {value} if {field} ~ "{glob}"')
        probes = Probes([spec], MACHINE, Task())
        for number, text in enumerate(texts):
            at = probes.machine.memory.place(TEXTS + 4096 * number, text + b"\0")
            probes.run(probes.names[0], registers(si=at, dx=number))
        assert [event.seq for event in probes.events()] == wanted, glob


def test_random_filters_keep_what_they_mean() -> None:
    drawn = RandomFilters(drawn_fields(PLACES), seed=20)
    filters = [drawn.next() for _ in range(FILTERS)]
    filters += [f"place.function {o} {name}" for o in ("==", "!=") for name in SYMBOLS]
    filters += [f"near {o} CPUS{{{c}}}" for o in ("&", "==", "!=") for c in "01"]
    filters += ["near & CPUS{0-1}", "!near & CPUS{0,1} && a8 < 5"]
    judge = Judge(FUNCTIONS)
    meant = [
        {n for n, values in enumerate(HITS) if judge.keeps(text, as_fields(values))}
        for text in filters
    ]
    assert sum(0 < len(seen) < len(HITS) for seen in meant) > len(filters) // 2
    for start in range(0, len(filters), AT_ONCE):
        some = slice(start, start + AT_ONCE)
        for text, seen, wanted in zip(filters[some], kept(filters[some]), meant[some], strict=True):
            assert seen == wanted, text
