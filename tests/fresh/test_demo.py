"""A clone on a machine that has nothing: `make demo` shows programs, and ends with status 0."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.fresh.debian import Debian

ROW = re.compile(r"^(?:echo|printf|true) +\d+ +\d+ +0 .*bpfprobe-demo-\d+$", re.MULTILINE)


@pytest.mark.parametrize("debian", ["bookworm", "trixie"], indirect=True)
def test_demo(debian: Debian) -> None:
    status, output = debian.run("make", "demo")
    assert status == 0
    assert ROW.search(output)
