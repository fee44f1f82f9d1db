"""Runs the tests of this directory inside guests, as root, in copies of saved ones.

On the host a test is collected once for each kernel, and running it means: restore a guest of that
kernel, run the test there, and relay its reports (host_side.py). In the guest this same file
only fixes the kernel, and the test runs as any other.

``@pytest.mark.guest(headers=True, kernels=["6.1"], timeout_s=60)`` sets what a test needs;
``shares=True`` lets the tests of a file run one after the other in one guest, which costs less;
``@pytest.mark.when_asked("BPFPROBE_X")`` leaves a test out unless that variable is set;
``@pytest.mark.on_host`` keeps a test of the lab itself on the host, with a ``lab`` fixture.
BPFPROBE_KERNELS names the kernels (a list, or ``all``); BPFPROBE_GUESTS how many run at once.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from host_side import Runner

    from bpfprobe.lab import Lab

IN_GUEST = "BPFPROBE_IN_GUEST" in os.environ
IN_CI = os.environ.get("CI") == "true"
RUNNER: pytest.StashKey[Runner] = pytest.StashKey()


def pytest_configure(config: pytest.Config) -> None:
    mark = "guest(headers=False, kernels=None, timeout_s=120, shares=False): what a test needs"
    config.addinivalue_line("markers", mark)
    config.addinivalue_line("markers", "when_asked(variable): runs if the variable is set")
    config.addinivalue_line("markers", "on_host: a test of the lab, which does not run in a guest")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes long and repeats what others show runs when its variable is set."""
    if IN_GUEST:
        return
    kept, left_out = [], []
    for item in items:
        mark = item.get_closest_marker("when_asked")
        (left_out if mark and mark.args[0] not in os.environ else kept).append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "kernel" not in metafunc.fixturenames:
        metafunc.fixturenames.append("kernel")
    asked = metafunc.definition.iter_markers("guest")
    wanted = next((m.kwargs["kernels"] for m in asked if m.kwargs.get("kernels")), None)
    if not IN_GUEST:
        refuse_unknown(wanted or (), metafunc.definition.nodeid)
    metafunc.parametrize("kernel", [k for k in kernels_of_run() if wanted is None or k in wanted])


def refuse_unknown(wanted: Collection[str], nodeid: str) -> None:
    """A name that the matrix does not have would leave the test out without a word."""
    from bpfprobe.lab.kernels import load_matrix

    unknown = set(wanted) - set(load_matrix().names)
    if unknown:
        raise pytest.UsageError(f"{nodeid}: the lab has no kernel {', '.join(sorted(unknown))}")


def kernels_of_run() -> list[str]:
    if IN_GUEST:
        return [os.environ["BPFPROBE_GUEST_KERNEL"]]
    from bpfprobe.lab import Lab, LabUnavailable
    from bpfprobe.lab.kernels import load_matrix

    asked = os.environ.get("BPFPROBE_KERNELS")
    if not asked or asked == "all":
        return list(load_matrix().tested(everything=bool(asked) or IN_CI))
    try:
        return [Lab(name.strip()).wanted.name for name in asked.split(",")]
    except LabUnavailable as error:
        raise pytest.UsageError(f"BPFPROBE_KERNELS: {error}") from error


@pytest.fixture
def lab(kernel: str) -> Lab:
    """The lab with the kernel of this test, for a test that stays on the host."""
    from host_side import SILENT

    from bpfprobe.lab import Lab

    return Lab(kernel, progress=SILENT)


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Iterator[object]:
    if IN_GUEST:
        return (yield)
    from host_side import Runner, is_guest_test

    items = [item for item in session.items if is_guest_test(item)]
    if not items or session.config.option.collectonly:
        return (yield)
    capture = session.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        runner = Runner(items)
    session.config.stash[RUNNER] = runner
    try:
        return (yield)
    finally:
        runner.stop()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    runner = item.config.stash.get(RUNNER, None)
    reports = None if runner is None else runner.reports(item, absence_fails=IN_CI)
    if reports is None:
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    runner = terminalreporter.config.stash.get(RUNNER, None)
    for ready in runner.kernels.values() if runner else ():
        if line := ready.summary():
            terminalreporter.write_line(f"guest tests: {line}", yellow=True)
