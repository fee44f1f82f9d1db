"""What a test may be skipped for: what no package gives. In CI, anything else is a failure."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

# Reasons that belong to the machine, its kernel or the user. Programs and libraries are not among
# them: they are in the lists of tools/setup and setup.cfg, so a skip for one means that it is not.
OF_THE_MACHINE = re.compile(
    r"\broot\b|machine|x86-64|needs Linux|kernel|CAP_|Landlock|tracefs|uprobes|vdso|CPUs"
    r"|/dev/|/proc/|the mirror cannot|needs an? (gcc|optimisation|Python) that"
)


class SkipReasons:
    """Counts what was skipped, and judges it."""

    def __init__(self, *, strict: bool) -> None:
        self.strict = strict
        self.counts: Counter[str] = Counter()

    def judge(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        """Make a failure of a skip where a package would have let the test run."""
        if not is_skip(report) or not self.strict:
            return
        if OF_THE_MACHINE.search(reason := reason_of(report)) is None:
            report.outcome = "failed"
            report.longrepr = f"skipped for want of a package (tools/setup, setup.cfg): {reason}"

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a skip, of this process or of a worker that reports to it."""
        self.count(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Count a file that was skipped."""
        self.count(report)

    def count(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        """Count the reason of a skip."""
        if is_skip(report):
            self.counts[reason_of(report)] += 1

    def summary(self) -> str | None:
        """Return one line with all reasons, if there are any."""
        if not self.counts:
            return None
        reasons = "; ".join(f"{reason} ({count})" for reason, count in sorted(self.counts.items()))
        return f"not run on this machine: {reasons}"


def is_skip(report: pytest.TestReport | pytest.CollectReport) -> bool:
    """Return whether a report is of a skip, not of an expected failure."""
    return report.skipped and not hasattr(report, "wasxfail")


def reason_of(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Return the reason of a skipped report, as it was given."""
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")
