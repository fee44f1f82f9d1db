"""What is known of a kernel before its tests run: its release, why there is none, what counts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bpfprobe.errors import LabError
from bpfprobe.lab import Lab, LabUnavailable
from bpfprobe.lab.errors import KernelUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest


@dataclass
class Readiness:
    """A kernel, and how its tests are to be judged.

    Debian moves "newest" on while nobody changes this checkout. Until its tests have passed on a
    series, what fails there is reported as an expected failure, and in one line at the end.
    """

    kernel: str
    absence: LabError | None = None
    caveat: str | None = None
    seen: int = 0
    differ: list[str] = field(default_factory=list)

    def outcome_of_absence(self, *, absence_fails: bool) -> str:
        """Return what a test comes to that has no guest to run in."""
        if isinstance(self.absence, KernelUnavailable) or self.caveat is not None:
            return "skipped"
        unavailable = isinstance(self.absence, LabUnavailable)
        return "skipped" if unavailable and not absence_fails else "failed"

    def judged(self, reports: list[pytest.TestReport]) -> list[pytest.TestReport]:
        """Return the reports of a test, with what fails on an untested kernel as expected."""
        self.seen += 1
        if self.caveat is None or not any(report.failed for report in reports):
            return reports
        self.differ.append(reports[0].nodeid.rpartition("/")[2])
        for report in reports:
            if report.failed:
                report.outcome = "skipped"
                report.wasxfail = f"reason: {self.caveat}"  # type: ignore[attr-defined]
        return reports

    def summary(self) -> str | None:
        """Return the line for the end of a run, if there is anything to say."""
        if isinstance(self.absence, KernelUnavailable):
            return f"{self.absence.message}; {self.seen} tests not run"
        if self.caveat is None:
            return None
        if self.absence is not None:
            return f"{self.caveat}; {self.seen} tests not run: {self.absence.message}"
        which = f": {', '.join(self.differ)}" if self.differ else ""
        return f"{self.caveat}; {len(self.differ)} of {self.seen} tests differ there{which}"


def made_ready(kernels: Sequence[str]) -> dict[str, Readiness]:
    """Set up a guest of each kernel."""
    found: dict[str, Readiness] = {}
    for kernel in kernels:
        found[kernel] = ready = _made_ready(kernel)
        if type(ready.absence) is LabUnavailable and ready.caveat is None:
            # No mirror or no emulator: the next kernel would only wait for the same.
            return {name: Readiness(name, ready.absence) for name in kernels}
    return found


def _made_ready(kernel: str) -> Readiness:
    lab = Lab(kernel)
    caveat = None
    try:
        caveat = lab.wanted.caveat(lab.installation.release(lab.wanted))
        lab.build()
    except LabError as error:
        return Readiness(kernel, error, caveat)
    return Readiness(kernel, None, caveat)
