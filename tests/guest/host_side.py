"""The host's side of a guest test: run it in a guest of its own, and revive its reports."""

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

    @classmethod
    def of(cls, item: pytest.Item) -> Needs:
        asked: dict[str, Any] = {}
        for mark in item.iter_markers("guest"):
            asked = {**mark.kwargs, **asked}
        return cls(**asked)


class Runner:
    """Runs guest tests, a few at a time and ahead of their turn."""

    def __init__(self, items: list[pytest.Item]) -> None:
        self.kernels = made_ready(sorted({kernel_of(item) for item in items}))
        self._pool = ThreadPoolExecutor(int(os.environ.get("BPFPROBE_GUESTS", GUESTS_AT_ONCE)))
        self._results: dict[str, Future[TestResult]] = {}
        self._live: set[Guest] = set()
        for item in items:
            if not stays_on_host(item) and self.kernels[kernel_of(item)].absence is None:
                self._results[item.nodeid] = self._pool.submit(self._run, item)

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
        try:
            result = self._results.pop(item.nodeid).result()
        except HeadersUnavailable as error:
            return [failure(item, error.message, "skipped")]
        except LabError as error:
            return [failure(item, str(error))]
        except Exception:  # a mistake of the lab's own fails one test, not the run
            return [failure(item, traceback.format_exc())]
        reports = [
            report for line in result.reports.splitlines() if (report := revived(item, line))
        ]
        if not any(report.when == "teardown" or report.failed for report in reports):
            output = (result.stdout + result.stderr).decode(errors="replace")
            reports.append(
                failure(
                    item,
                    f"the test's process ended with status {result.status}, unreported:\n{output}",
                )
            )
        return reports

    def stop(self) -> None:
        """Start nothing more, and end what runs."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        for guest in tuple(self._live):
            guest.kill()
        self._pool.shutdown()

    def _run(self, item: pytest.Item) -> TestResult:
        needs = Needs.of(item)
        lab = Lab(kernel_of(item), headers=needs.headers, progress=SILENT)
        with lab.restore() as guest:
            self._live.add(guest)
            try:
                root = str(item.config.rootpath)
                return guest.run_test(item.nodeid, root, timeout_s=needs.timeout_s)
            finally:
                self._live.discard(guest)


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
