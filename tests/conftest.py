"""What all tests share: none fails for being slow, finds examples by chance, or uses a cache."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.skipping import SkipReasons

if TYPE_CHECKING:
    from collections.abc import Generator

SKIPS = pytest.StashKey[SkipReasons]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write tests/golden anew from what is made"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SKIPS] = reasons = SkipReasons(strict=os.environ.get("CI") == "true")
    config.pluginmanager.register(reasons)
    # A shell starts what is in its background with SIGINT ignored, and its children inherit that:
    # tests that interrupt themselves or a program would wait for ever.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if "BPFPROBE_IN_GUEST" in os.environ:
        return  # where importing hypothesis takes seconds, and no test uses it
    from hypothesis import settings

    # What is kept on this machine is none of a test's business; those of the cache say where.
    os.environ["BPFPROBE_CACHE"] = "off"
    # The machine may be busy, or emulated; a failure is of the code, not of the day.
    settings.register_profile("steady", deadline=None, derandomize=True)
    settings.load_profile("steady")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    item.config.stash[SKIPS].judge(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    collector.config.stash[SKIPS].judge(report)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if line := terminalreporter.config.stash[SKIPS].summary():
        terminalreporter.write_line(line)
