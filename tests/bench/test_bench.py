"""What the benchmarks make of their samples, and that they count right."""

from __future__ import annotations

import ctypes
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bpfprobe.lab import Result
from tests.bench import guest, headers
from tests.bench.figure import Curve, Figure, Samples, Spread, draw, judge
from tests.bench.report import RATIO_HEAD, Report, markdown_table, number, plain_table
from tests.bench.setting import ROOT, Setting
from tests.bench.workload import Unmeasurable, Workload, measure
from tests.bench.workloads.instructions import TOOLS, our_probes, run_ours
from tests.bench.workloads.kprobe import KPROBE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import ExitStack

HALF = Figure("half of theirs", "time", "ours", "theirs", 0.5)


def samples(**values: list[float | None]) -> Samples:
    return Samples({name: {"time": row} for name, row in values.items()})


def setting(runs: int) -> Setting:
    return Setting(Path("/nowhere"), runs, quick=True, producer=Path("/nowhere"), headers=None)


def test_a_figure_is_the_ratio_of_the_medians() -> None:
    verdict = judge(HALF, samples(ours=[1.0, 9.0, 4.0], theirs=[10.0, 10.0, 8.0]))
    assert verdict.ratio == Spread(0.4, 0.1, 0.9)
    assert verdict.reached is True


@pytest.mark.parametrize(
    ("more", "ours", "reached"),
    [(False, 5.0, True), (False, 5.1, False), (True, 4.9, False), (True, 5.0, True)],
)
def test_a_goal_is_reached_from_its_side(more: bool, ours: float, reached: bool) -> None:
    figure = Figure("", "time", "ours", "theirs", 0.5, more=more)
    assert judge(figure, samples(ours=[ours], theirs=[10.0])).reached is reached


def test_what_both_cost_anyway_is_taken_off() -> None:
    figure = Figure("", "time", "ours", "theirs", 1.0, base="nothing")
    verdict = judge(figure, samples(ours=[130.0], theirs=[200.0], nothing=[100.0]))
    assert verdict.ratio == Spread(0.3, 0.3, 0.3)
    assert verdict.ours == Spread(30.0, 30.0, 30.0)


@pytest.mark.parametrize(
    "values",
    [
        {"ours": [1.0]},
        {"ours": [None], "theirs": [1.0]},
        {"ours": [1.0], "theirs": [0.0]},
    ],
)
def test_what_was_not_measured_has_no_ratio(values: dict[str, list[float | None]]) -> None:
    verdict = judge(HALF, samples(**values))
    assert (verdict.ratio, verdict.reached) == (None, None)


def test_turns_without_a_value_keep_their_place() -> None:
    found = Samples()
    found.add("ours", {"a": 1.0})
    found.add("ours", {"b": 2.0})
    found.add("ours", {"a": 3.0, "b": 4.0})
    assert found.of("ours", "a") == [1.0, None, 3.0]
    assert found.of("ours", "b") == [None, 2.0, 4.0]
    assert found.spread("ours", "a") == Spread(2.0, 1.0, 3.0)


@pytest.mark.parametrize(
    ("each", "costs", "knee"),
    [
        (True, [4.0, 40.0, 400.0], None),
        (True, [4.0, 80.0, 801.0], 100),
        (True, [4.0, 81.0, 810.0], 10),
        (True, [40.0, 100.0, 2100.0], 100),
        (False, [40.0, 60.0, 80.0], None),
        (False, [40.0, 60.0, 81.0], 100),
    ],
)
def test_a_knee_is_where_a_unit_costs_twice_as_much(
    each: bool, costs: list[float], knee: int | None
) -> None:
    values = dict(zip(("1", "10", "100"), costs, strict=True))
    shape = draw(Curve("", "time", each=each), samples(**{n: [c] for n, c in values.items()}))
    assert [amount for amount, _ in shape.points] == [1, 10, 100]
    assert shape.knee == knee


def test_contestants_take_turns_and_the_first_does_not_count() -> None:
    order: list[str] = []

    def turn(name: str, value: float) -> Mapping[str, float]:
        order.append(name)
        if name == "late" and len(order) > 4:
            raise Unmeasurable("it has gone")
        return {"time": value}

    def contestants(setting: Setting, stack: ExitStack) -> dict[str, object]:
        return {name: lambda name=name: turn(name, len(order)) for name in ("ours", "late")}

    workload = Workload("w", "", {"time": "ms"}, contestants)
    found = measure(workload, setting(3), lambda text: None)
    assert order == ["ours", "late", "ours", "late", "ours", "late", "ours"]
    assert len(found.of("ours", "time")) == 3
    assert found.notes == ["w: late is not measured: it has gone"]


def report(ours: float) -> Report:
    ratio = Workload("w", "", {"time": "ms"}, lambda *_: {}, (HALF,))
    growth = Workload("g", "things", {"time": "ms"}, lambda *_: {}, (), (Curve("one", "time"),))
    measured = [
        (ratio, samples(ours=[ours], theirs=[10.0])),
        (growth, samples(**{"1": [1.0], "10": [30.0]})),
    ]
    return Report({"Linux": "6.1"}, 1, measured)


def test_the_report_says_what_fell_short() -> None:
    short, good = report(6.0), report(4.0)
    knee = "g: one: a knee at 10"
    assert good.notes() == [knee]
    assert short.notes() == [
        "w: half of theirs against theirs: fell short, 0.6 where <= 0.5 was the goal",
        knee,
    ]
    assert dict(zip(RATIO_HEAD, short.ratio_rows()[0], strict=True)) == {
        **{"figure": "half of theirs", "against": "theirs", "ratio": "0.6", "goal": "<= 0.5"},
        **{"spread": "0.6..0.6", "": "SHORT", "bpfprobe": "6 ms", "the other": "10 ms"},
    }
    assert good.curve_rows() == [("things", "one", "1: 1, 10: 3 ms", "at 10")]


def test_json_has_every_sample() -> None:
    made = json.loads(json.dumps(report(4.0).as_json()))
    assert made["samples"]["w"] == {"ours": {"time": [4.0]}, "theirs": {"time": [10.0]}}
    assert made["figures"][0]["reached"] is True
    assert made["figures"][0]["ratio"] == {"median": 0.4, "low": 0.4, "high": 0.4}
    assert made["curves"][0]["knee"] == 10


def test_numbers_are_short() -> None:
    assert [number(n) for n in (0, 0.01234, 1.5, 99.96, 12345.6)] == [
        *("0", "0.0123", "1.5", "100"),
        "12346",
    ]


def test_tables() -> None:
    rows = [("a", "long cell"), ("bb", "")]
    assert plain_table(("x", "y"), rows) == ["x   y", "a   long cell", "bb"]
    assert markdown_table(("x", "y"), rows)[:3] == [
        "| x | y |",
        "| --- | --- |",
        "| a | long cell |",
    ]


class FakeGuest:
    """A guest that answers every command alike."""

    def __init__(self, status: int, stdout: bytes, stderr: bytes) -> None:
        self._result = Result(status, stdout, stderr, b"", 0.0)
        self.commands: list[list[str]] = []

    def __enter__(self) -> FakeGuest:
        return self

    def __exit__(self, *exc_info: object) -> None: ...

    def run(self, argv: list[str], **settings: object) -> Result:
        self.commands.append(argv)
        return self._result


def in_guest(monkeypatch: pytest.MonkeyPatch, folder: Path, fake: FakeGuest) -> Samples:
    class FakeLab:
        def __init__(self, kernel: str, **settings: object) -> None: ...

        def restore(self) -> FakeGuest:
            return fake

    monkeypatch.setattr(guest, "Lab", FakeLab)
    producer = folder / "producer"
    producer.write_bytes(b"\x7fELF")
    made = replace(setting(5), producer=producer)
    return guest.measure_in_guest(KPROBE, made, lambda text: None)


def test_samples_of_a_guest_are_taken_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    answer = {"samples": {"kprobe": {"bcc": {"hit": [2.0, None]}}}, "left_out": ["a note"]}
    fake = FakeGuest(0, json.dumps(answer).encode(), b"")
    found = in_guest(monkeypatch, tmp_path, fake)
    assert found.of("bcc", "hit") == [2.0, None]
    assert found.notes == ["a note"]
    (command,) = fake.commands
    assert command[command.index("--runs") + 1] == str(guest.MOST_RUNS)


def test_a_guest_that_fails_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = in_guest(monkeypatch, tmp_path, FakeGuest(1, b"", b"first\nlast words\n"))
    assert found.values == {}
    assert found.notes == ["kprobe: not measured, in the guest: last words"]


def test_without_apt_bcc_has_no_headers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(headers.NoHeaders, match="no apt"):
        headers.fetch_headers(tmp_path)


@pytest.mark.parametrize("tool", TOOLS)
def test_the_programs_report_what_happened(tool: str) -> None:
    try:
        ctypes.CDLL("libbcc.so.0")
    except OSError as error:
        pytest.skip(f"needs libbcc: {error}")
    probes = our_probes(tool)
    entry, back = run_ours(tool, probes)
    assert sum(entry.visits.values()) == entry.executed > 0
    assert sum(back.calls.values()) < back.executed
    assert sum(probes.cost_by_line(probes.names[1], back).values()) == back.executed


def test_the_command_line() -> None:
    command = [sys.executable, "-m", "tests.bench"]
    done = subprocess.run([*command, "--help"], cwd=ROOT, capture_output=True, check=True)
    assert b"--markdown" in done.stdout
    wrong = subprocess.run([*command, "--runs", "0"], cwd=ROOT, capture_output=True, check=False)
    assert wrong.returncode == 2
    assert b"from 1 on" in wrong.stderr
