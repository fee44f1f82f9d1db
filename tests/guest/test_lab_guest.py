"""What a guest promises to the tests that run in it; these run inside."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest


def test_kernel_is_the_one_asked_for(kernel):
    assert os.uname().release.startswith(f"{kernel}.")
    assert os.geteuid() == 0


def test_no_modules_and_no_headers():
    assert not Path("/lib/modules").exists()
    assert not list(Path("/usr/src").iterdir())


def test_wall_clock_is_not_the_saved_one():
    assert time.time() > Path(__file__).stat().st_mtime
