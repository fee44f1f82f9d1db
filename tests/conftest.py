"""What all tests share: none fails for being slow, finds examples by chance, or uses a cache."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write tests/golden anew from what is made"
    )


def pytest_configure() -> None:
    if "BPFPROBE_IN_GUEST" in os.environ:
        return  # where importing hypothesis takes seconds, and no test uses it
    from hypothesis import settings

    # What is kept on this machine is none of a test's business; those of the cache say where.
    os.environ["BPFPROBE_CACHE"] = "off"
    # The machine may be busy, or emulated; a failure is of the code, not of the day.
    settings.register_profile("steady", deadline=None, derandomize=True)
    settings.load_profile("steady")
