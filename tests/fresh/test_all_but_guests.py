"""A clone on a machine that has nothing: all tests pass there; those in guests are left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.fresh.debian import Debian


@pytest.mark.parametrize("debian", ["bookworm"], indirect=True)
def test_lint_unit_native(debian: Debian) -> None:
    status, _ = debian.run("make", "lint", "unit", "native", CI="true")
    assert status == 0
