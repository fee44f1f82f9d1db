"""What all tests share: no test fails for being slow, and none finds its examples by chance."""

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

    # The machine may be busy, or emulated; a failure is of the code, not of the day.
    settings.register_profile("steady", deadline=None, derandomize=True)
    settings.load_profile("steady")
