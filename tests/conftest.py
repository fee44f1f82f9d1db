"""No test fails for being slow: the machine may be busy, or emulated."""

from __future__ import annotations

import os


def pytest_configure() -> None:
    if "BPFPROBE_IN_GUEST" in os.environ:
        return  # where importing hypothesis takes seconds, and no test uses it
    from hypothesis import settings

    settings.register_profile("patient", settings(), deadline=None)
    settings.load_profile("patient")
