"""A Debian for each test that asks for one, and what its commands take."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.fresh.debian import Debian, mirror_is_reached, new_debian
from tests.fresh.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def debian(request: pytest.FixtureRequest) -> Iterator[Debian]:
    """A minimal Debian of the suite that the test's parameter names."""
    settings = Settings.of_this_machine()
    if refusal := mirror_is_reached(request.param, settings):
        pytest.skip(f"the mirror cannot be reached: {refusal}")
    started = time.monotonic()
    with new_debian(request.param, settings) as debian:
        print(f"{request.param} | made ready: {time.monotonic() - started:.0f} s")
        yield debian
