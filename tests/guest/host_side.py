"""The host's side of guest tests: run them in restored guests, and revive their reports."""

from __future__ import annotations

import json
import os
import traceback
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from readiness import made_ready

from bpfprobe.errors import LabError
from bpfprobe.lab import Guest, Lab
from bpfprobe.lab.errors import HeadersUnavailable
from bpfprobe.lab.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfprobe.lab.guest import TestResult

DEFAULT_TIMEOUT_S = 120.0
GUESTS_AT_ONCE = 2
SILENT = Progress(None)


@dataclass(frozen=True)
class Needs:
    """What a test's mark asks for."""

    headers: bool = False
    kernels: tuple[str, ...] | None = None
    timeout_s: float = DEFAULT_TIMEOUT_S
    shares: bool = False

    @classmethod
    def of(cls, item: pytest.Item) -> Needs:
        asked: dict[str, Any] = {}
        for mark in item.iter_markers("guest"):
            asked = {**mark.kwargs, **asked}
        return cls(**asked)


@dataclass(frozen=True, eq=False)
class Batch:
    """Tests that run one after the other in one guest."""

    items: tuple[pytest.Item, ...]
    result: Future[TestResult]


class Runner:
    """Runs guest tests, a few guests at a time and ahead of the tests' turn."""

    def __init__(self, items: list[pytest.Item]) -> None:
        self.kernels = made_ready(sorted({kernel_of(item) for item in items}))
        self._pool = ThreadPoolExecutor(int(os.environ.get("BPFPROBE_GUESTS", GUESTS_AT_ONCE)))
        self._live: set[Guest] = set()
        in_guests = [
            item
            for item in items
            if not stays_on_host(item) and self.kernels[kernel_of(item)].absence is None
        ]
        self._batches: dict[str, Batch] = {}
        for together in batches(in_guests):
            batch = self._start(together)
            self._batches.update((item.nodeid, batch) for item in together)

    def reports(self, item: pytest.Item, *, absence_fails: bool) -> list[pytest.TestReport] | None:
        """The reports of a test whose turn has come; None for one that the host is to run."""
        if not is_guest_test(item):
            return None
        ready = self.kernels[kernel_of(item)]
        if ready.absence is not None:
            ready.seen += 1
            outcome = ready.outcome_of_absence(absence_fails=absence_fails)
            return [failure(item, f"no guest to be had: {ready.absence}", outcome)]
        if stays_on_host(item):
            return None
        return ready.judged(self._reports_of_guest(item))

    def _reports_of_guest(self, item: pytest.Item) -> list[pytest.TestReport]:
        batch = self._batches.pop(item.nodeid)
        found = reports_of(item, batch.result)
        if found.complete or len(batch.items) == 1:
            return found.reports
        # The guest or the process of the batch ended before or in this test: what it does alone.
        return reports_of(item, self._start((item,)).result).reports

    def stop(self) -> None:
        """Start nothing more, and end what runs."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        for guest in tuple(self._live):
            guest.kill()
        self._pool.shutdown()

    def _start(self, items: tuple[pytest.Item, ...]) -> Batch:
        return Batch(items, self._pool.submit(self._run, items))

    def _run(self, items: tuple[pytest.Item, ...]) -> TestResult:
        needs = [Needs.of(item) for item in items]
        lab = Lab(kernel_of(items[0]), headers=needs[0].headers, progress=SILENT)
        with lab.restore() as guest:
            self._live.add(guest)
            try:
                return guest.run_tests(
                    [item.nodeid for item in items],
                    str(items[0].config.rootpath),
                    timeout_s=sum(need.timeout_s for need in needs),
                )
            finally:
                self._live.discard(guest)


def batches(items: list[pytest.Item]) -> Iterator[tuple[pytest.Item, ...]]:
    """The tests of each guest: those of a file that may share one, the others alone."""
    shared: dict[object, list[pytest.Item]] = {}
    for item in items:
        needs = Needs.of(item)
        key = (item.path, kernel_of(item), needs.headers) if needs.shares else item.nodeid
        shared.setdefault(key, []).append(item)
    return map(tuple, shared.values())


@dataclass(frozen=True)
class Found:
    """What a guest reported of one test, and whether that is all of it."""

    reports: list[pytest.TestReport]
    complete: bool


def reports_of(item: pytest.Item, future: Future[TestResult]) -> Found:
    """What the run of a test's batch says of that test."""
    try:
        result = future.result()
    except HeadersUnavailable as error:
        return Found([failure(item, error.message, "skipped")], complete=True)
    except LabError as error:
        return Found([failure(item, str(error))], complete=False)
    except Exception:  # a mistake of the lab's own fails one test, not the run
        return Found([failure(item, traceback.format_exc())], complete=True)
    revivals = [report for line in result.reports.splitlines() if (report := revived(item, line))]
    reports = [report for report in revivals if report.nodeid == item.nodeid]
    if any(report.when == "teardown" or report.failed for report in reports):
        return Found(reports, complete=True)
    output = (result.stdout + result.stderr).decode(errors="replace")
    ended = f"the test's process ended with status {result.status}, unreported:\n{output}"
    return Found([*reports, failure(item, ended)], complete=False)


def kernel_of(item: pytest.Item) -> str:
    return str(item.callspec.params["kernel"])  # type: ignore[attr-defined]


def is_guest_test(item: pytest.Item) -> bool:
    """Whether an item is one of this directory's, with a kernel to run on."""
    callspec = getattr(item, "callspec", None)
    here = Path(__file__).parent
    return item.path.is_relative_to(here) and isinstance(
        callspec and callspec.params.get("kernel"), str
    )


def stays_on_host(item: pytest.Item) -> bool:
    return item.get_closest_marker("on_host") is not None


def revived(item: pytest.Item, line: bytes) -> pytest.TestReport | None:
    """A report that the guest sent."""
    config = item.config
    report = config.hook.pytest_report_from_serializable(config=config, data=json.loads(line))
    if isinstance(report, pytest.TestReport):
        if isinstance(report.longrepr, list):  # where a test was skipped: JSON has no tuples
            report.longrepr = tuple(report.longrepr)
        return report
    return failure(
        item, f"in the guest, {report.nodeid} could not be collected:\n{report.longrepr}"
    )


def failure(item: pytest.Item, text: str, outcome: str = "failed") -> pytest.TestReport:
    """A report for what befell a test from outside."""
    path, line, _ = item.location
    longrepr = text if outcome == "failed" else (path, line or 0, text)
    keywords = {name: 1 for name in item.keywords}
    return pytest.TestReport(item.nodeid, item.location, keywords, outcome, longrepr, "call")
