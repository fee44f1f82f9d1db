"""A test is skipped for what no package gives; in CI a skip for anything else is a failure."""

from __future__ import annotations

import pytest

from tests.skipping import SkipReasons, reason_of

MACHINE = [
    "needs root, to become nobody",
    "root may read everything",
    "needs Landlock (Linux 5.13), which is off here",
    "needs tracefs at /sys/kernel/tracing",
    "needs uprobes",
    "this kernel has kprobes",
    "needs CAP_BPF and CAP_PERFMON: bpf: Operation not permitted",
    "this process has no vdso",
    "needs two CPUs",
    "needs /dev/full",
    "/proc/kcore cannot be read here",
    "the mirror cannot be reached: http://x/dists/trixie/InRelease: E: Could not resolve",
    "reads x86-64 registers",
    "needs a gcc that makes clones of these functions",
    "needs a Python that has probes of its calls, as those up to 3.11",
]
PACKAGE = [
    "needs rustc",
    "needs g++",
    "needs readelf (Debian: binutils)",
    "needs the server of Debian's package postgresql",
    "needs tplist-bpfcc (bpfcc-tools)",
    "needs pyarrow",
    "needs a pyelftools that reads type units, as 0.32 does",
    "could not import 'elftools': No module named 'elftools'",
    "needs libbcc.so.0 (apt install libbpfcc)",
    "",
]


def skipped(reason: str) -> pytest.TestReport:
    place = ("test_x.py", 1, f"Skipped: {reason}")
    return pytest.TestReport("test_x.py::test_x", place, {}, "skipped", place, "call")


@pytest.mark.parametrize("reason", MACHINE)
@pytest.mark.parametrize("strict", [True, False])
def test_what_no_package_gives_is_skipped_and_said(reason: str, strict: bool) -> None:
    reasons, report = SkipReasons(strict=strict), skipped(reason)
    for seen in (report, skipped(reason)):
        reasons.judge(seen)
        reasons.pytest_runtest_logreport(seen)
    assert (report.outcome, reason_of(report)) == ("skipped", reason)
    assert reasons.summary() == f"not run on this machine: {reason} (2)"


@pytest.mark.parametrize("reason", PACKAGE)
def test_what_a_package_gives_fails_in_ci(reason: str) -> None:
    report = skipped(reason)
    SkipReasons(strict=True).judge(report)
    assert report.outcome == "failed"
    assert str(report.longrepr).endswith(f"setup.cfg): {reason}")
    report = skipped(reason)
    SkipReasons(strict=False).judge(report)
    assert report.outcome == "skipped"


def test_expected_failures_and_passes_are_let_be() -> None:
    reasons = SkipReasons(strict=True)
    expected = skipped("a reason")
    expected.wasxfail = "reason"  # type: ignore[attr-defined]
    passed = pytest.TestReport("x", ("x", 1, "x"), {}, "passed", None, "call")
    for report in (expected, passed):
        reasons.judge(report)
        reasons.count(report)
    assert (expected.outcome, passed.outcome) == ("skipped", "passed")
    assert reasons.summary() is None
