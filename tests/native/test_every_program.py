"""The verifier of this kernel takes whatever render prints. Nothing is attached."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

import pytest

import bpfprobe as bp
from bpfprobe.engine.live import LiveEngine
from bpfprobe.errors import PrivilegeError
from bpfprobe.model.glob import parse_glob
from bpfprobe.model.object import MapKind
from tests.render.corpus import EVERYTHING
from tests.sample_machine import FACTS, NO, compiled, machine

GLOBS = [
    "*abcdefghijklmnopqrstuvwxyz",
    "/*/*/*/*/*",
    "*[a-c][d-f]*[!g-i]?*",
    "[a-z][a-z][0-9]*[!x]" * 4,
    "*?*?*?*x",
]


def load_all(probes: list[str | bp.Probe], *, changes: dict[str, object], transport: str) -> int:
    target = machine(replace(FACTS, **changes))  # type: ignore[arg-type]
    made = compiled(*probes, target=target, transport=transport)
    engine = LiveEngine()
    with ExitStack() as undo:
        codes = engine.compile(made.source)
        fds = []
        for definition in made.source.maps:
            small = definition.kind in (MapKind.LRU_HASH, MapKind.HASH)
            fd = engine.create_map(replace(definition, max_entries=64) if small else definition)
            undo.callback(engine.close_fd, fd)
            fds.append(fd)
        for code in codes:
            undo.callback(engine.close_fd, engine.load(code, fds))
        return len(codes)


@pytest.mark.parametrize(
    ("changes", "transport"), [({}, "ring"), ({}, "perf"), ({"kprobes": NO}, "ring")]
)
def test_it_loads(changes: dict[str, object], transport: str) -> None:
    try:
        assert load_all(EVERYTHING, changes=changes, transport=transport) > len(EVERYTHING)
    except PrivilegeError as error:
        pytest.skip(f"needs CAP_BPF and CAP_PERFMON: {error}")


def test_short_strings_behind_heads_of_every_size() -> None:
    probes: list[str | bp.Probe] = [
        bp.kprobe(
            "untyped",
            captures={f"n{n}": "$arg1" for n in range(others)} | {"text": "$arg2:string"},
            string_bytes=string_bytes,
        )
        for others in range(9)
        for string_bytes in (5, 20, 40)
    ]
    try:
        assert load_all(probes, changes={}, transport="ring") == len(probes)
    except PrivilegeError as error:
        pytest.skip(f"needs CAP_BPF and CAP_PERFMON: {error}")


def test_globs_that_the_plan_lets_through_do_too() -> None:
    probes: list[str | bp.Probe] = [
        bp.uprobe("bash", "main", filter=f'+0($arg1) ~ "{glob}"', s="$arg1:string")
        for glob in GLOBS
    ]
    assert max(len(set(parse_glob(glob.encode()))) for glob in GLOBS) > 21  # with a star
    try:
        assert load_all(probes, changes={}, transport="ring") == len(GLOBS)
    except PrivilegeError as error:
        pytest.skip(f"needs CAP_BPF and CAP_PERFMON: {error}")
