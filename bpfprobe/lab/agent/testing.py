"""Running pytest tests inside the guest and sending their reports home."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

UNWANTED_PLUGINS = ("cacheprovider", "junitxml", "pastebin", "stepwise", "doctest")


class Reporter:
    """Writes each of a test's reports, as one line of JSON, to a pipe."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._config: pytest.Config | None = None

    def pytest_configure(self, config: pytest.Config) -> None:
        """Keep the configuration, which knows how reports are written."""
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Send the outcome of a phase."""
        self._send(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Send what went wrong before there was a test."""
        if report.failed:
            self._send(report)

    def _send(self, report: Any) -> None:
        if self._config is not None:
            hook = self._config.hook
            data = hook.pytest_report_to_serializable(config=self._config, report=report)
            line = memoryview(json.dumps(data).encode() + b"\n")
            while line:
                line = line[os.write(self._descriptor, line) :]


WARM_UP = """
import pytest

@pytest.fixture
def thing(tmp_path, monkeypatch, capsys):
    yield tmp_path

@pytest.mark.parametrize("number", [1])
def test_passes(thing, number):
    assert number

def test_fails():
    left, right = {"a": [1, 2]}, {"a": [1, 3]}
    with pytest.raises(KeyError):
        left["b"]
    assert left == right
"""


def warm_up() -> None:
    """Have pytest import, once and for all guests, whatever it imports as it goes along."""
    with tempfile.TemporaryDirectory() as directory, open(os.devnull, "w") as nowhere:
        (Path(directory) / "test_warm_up.py").write_text(WARM_UP)
        with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
            run(["test_warm_up.py"], directory, nowhere.fileno())
        sys.path.remove(directory)
    del sys.modules["test_warm_up"]


def run(nodeids: list[str], root: str, descriptor: int) -> int:
    """Run the tests with those ids; their configuration is the one of the checkout."""
    os.set_inheritable(descriptor, False)
    sys.path.insert(0, root)
    plugins = [argument for name in UNWANTED_PLUGINS for argument in ("-p", f"no:{name}")]
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    arguments = [
        "-q",
        f"--rootdir={root}",
        "-o",
        "addopts=",
        "--tb=long",
        *plugins,
        *(f"{root}/{nodeid}" for nodeid in nodeids),
    ]
    return int(pytest.main(arguments, plugins=[Reporter(descriptor)]))
