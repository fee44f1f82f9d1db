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
        """Count a skip, or make a failure of it where a package would have let the test run."""
        if not report.skipped or hasattr(report, "wasxfail"):
            return
        reason = reason_of(report)
        if self.strict and OF_THE_MACHINE.search(reason) is None:
            report.outcome = "failed"
            report.longrepr = f"skipped for want of a package (tools/setup, setup.cfg): {reason}"
        else:
            self.counts[reason] += 1

    def summary(self) -> str | None:
        """Return one line with all reasons, if there are any."""
        if not self.counts:
            return None
        reasons = "; ".join(f"{reason} ({count})" for reason, count in sorted(self.counts.items()))
        return f"not run on this machine: {reasons}"


def reason_of(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Return the reason of a skipped report, as it was given."""
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")
