"""One program built in many ways: each way of naming its function is the same place."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

import bpfprobe as bp
from tests.native.programs import SOURCE, Program, Worker, compiler, needs_uprobes

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = needs_uprobes

BUILDS = {
    "non-PIE": ["-fno-pie", "-no-pie"],
    "PIE": ["-fPIE", "-pie"],
    "static": ["-static", "-fno-pie", "-no-pie"],
    "static-PIE": ["-static-pie", "-fPIE"],
    "stripped": ["-fPIE", "-pie"],
    "clang": ["-O2", "-w"],
}
ENTERED = [(1000 + n, -3) for n in range(23)]
LINE = 1 + SOURCE.splitlines().index("    return n * factor;")


def separate(program: Program) -> None:
    """Leave the program without symbols, which go to a file beside it."""
    if shutil.which("objcopy") is None:
        pytest.skip("needs binutils")
    debug = f"{program.path}.debug"
    commands = [
        ["objcopy", "--only-keep-debug", program.path, debug],
        ["strip", program.path],
        ["objcopy", f"--add-gnu-debuglink={debug}", program.path],
    ]
    for command in commands:
        subprocess.run(command, check=True)


def build(name: str, folder: Path) -> Program:
    (command,) = compiler("clang" if name == "clang" else "gcc")
    try:
        program = Program.build(folder, "-g", *BUILDS[name], compiler=command)
    except subprocess.CalledProcessError:
        pytest.skip(f"gcc cannot build a {name} program here: needs libc.a")
    assert {*program.symbols} >= {"hot", "hot_inside"}  # nm(1) is asked while there are some
    if name == "stripped":
        separate(program)
    return program


@pytest.mark.parametrize("name", BUILDS)
def test_each_way_of_naming_a_place(name: str, tmp_path: Path) -> None:
    program = build(name, tmp_path)
    path, hot, inside = program.path, program.symbols["hot"], program.inside
    offset = program.file_offset("hot")
    values = {"n": "%di:s64", "factor": "%si:s32"}
    probes = [
        bp.uprobe(path, "hot", event="symbol", **values),
        bp.uprobe(path, "ho?", event="glob", **values),
        bp.uprobe(path, address=hot, event="address", **values),
        bp.uprobe(path, offset=offset, event="offset", **values),
        bp.probe(f"text=uprobe:{path}:{offset:#x} n=%di:s64 factor=%si:s32"),
        bp.uprobe(path, f"hot+{inside}", event="symbol_plus", **values),
        bp.uprobe(path, address=hot + inside, event="address_plus", **values),
        bp.uprobe(path, offset=offset + inside, event="offset_plus", **values),
        bp.uprobe(path, f"program.c:{LINE}", event="line", **values),
    ]
    with Worker(program) as worker:
        with bp.Session(*probes, pid=worker.pid) as session:
            worker.hot(23)
            events: list[Any] = sorted(session.events(duration=0), key=lambda event: event.time)
            assert session.statistics() == bp.Statistics(produced=207, delivered=207)
        worker.await_probe("hot", there=False)
        worker.await_probe("hot_inside", there=False)
    for probe in probes:
        found = [(event.n, event.factor) for event in events if event.probe == probe.name]
        assert found == ENTERED, probe.name
