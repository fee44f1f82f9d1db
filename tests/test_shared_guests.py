"""Tests that share a guest: who runs with whom, and what is run again when the guest ends."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from host_side import Batch, Runner, batches

from bpfprobe.errors import LabError
from bpfprobe.lab.guest import TestResult


@pytest.fixture
def items(request):
    """Items of two files and two kernels, made as a collection makes them."""

    def made(path, name, kernel, **needs):
        mark = SimpleNamespace(kwargs=needs)
        return SimpleNamespace(
            nodeid=f"{path}::{name}[{kernel}]",
            path=path,
            callspec=SimpleNamespace(params={"kernel": kernel}),
            location=(path, 1, name),
            keywords={},
            config=request.config,
            iter_markers=lambda _: [mark],
        )

    return made


def names(groups):
    return [[item.nodeid for item in group] for group in groups]


def test_a_guest_is_shared_by_tests_of_one_file_kernel_and_disk(items):
    collected = [
        items("a.py", "one", "6.1", shares=True),
        items("a.py", "one", "newest", shares=True),
        items("a.py", "alone", "6.1"),
        items("a.py", "two", "6.1", shares=True),
        items("a.py", "headers", "6.1", shares=True, headers=True),
        items("b.py", "one", "6.1", shares=True),
    ]
    assert names(batches(collected)) == [
        ["a.py::one[6.1]", "a.py::two[6.1]"],
        ["a.py::one[newest]"],
        ["a.py::alone[6.1]"],
        ["a.py::headers[6.1]"],
        ["b.py::one[6.1]"],
    ]


def report_lines(config, *items):
    reports = [
        pytest.TestReport(item.nodeid, item.location, {}, "passed", None, when)
        for item in items
        for when in ("setup", "call", "teardown")
    ]
    serialize = config.hook.pytest_report_to_serializable
    return b"".join(
        json.dumps(serialize(config=config, report=report)).encode() + b"\n" for report in reports
    )


@pytest.mark.parametrize("lost", [False, True], ids=["the process ends", "the guest ends"])
def test_a_test_that_was_not_reached_runs_alone(request, items, monkeypatch, lost):
    first, second = (items("a.py", name, "6.1", shares=True) for name in ("first", "second"))
    ran = []

    def run(_, together):
        ran.append([item.nodeid for item in together])
        if len(together) == 2 and lost:
            raise LabError("the guest ended")
        reached = together[:1]  # of two, the process ends after the first
        reports = report_lines(request.config, *reached)
        return TestResult(0, b"", b"", b"", 0.0, reports=reports)

    monkeypatch.setattr(Runner, "_run", run)
    monkeypatch.setattr("host_side.made_ready", lambda kernels: {})
    runner = Runner([])
    runner._pool = ThreadPoolExecutor(1)
    batch = runner._start((first, second))
    runner._batches = {item.nodeid: batch for item in (first, second)}
    assert isinstance(batch, Batch)
    for item in (first, second):
        reports = runner._reports_of_guest(item)
        assert [(r.nodeid, r.when, r.outcome) for r in reports] == [
            (item.nodeid, when, "passed") for when in ("setup", "call", "teardown")
        ]
    alone = [[first.nodeid], [second.nodeid]] if lost else [[second.nodeid]]
    assert ran == [[first.nodeid, second.nodeid], *alone]
    runner.stop()
