"""What several native tests start."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.native.following import Host, build_host

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def host_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that loads plug-ins."""
    return build_host(tmp_path_factory.mktemp("host"))


@pytest.fixture
def host(host_path: Path) -> Iterator[Host]:
    """The program as it runs."""
    with Host(host_path) as host:
        yield host
