"""Compiled once for all tests here: it takes seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bpfprobe.engine.live import LiveEngine
from bpfprobe.errors import MissingLibraryError
from tests.render.corpus import EVERYTHING
from tests.sample_machine import compiled

if TYPE_CHECKING:
    from bpfprobe.model.object import Bytecode
    from bpfprobe.pipeline import Compilation


class Everything:
    """All probes of the corpus in one session that filters by each of its options."""

    def __init__(self) -> None:
        self._made: dict[str, tuple[Compilation, tuple[Bytecode, ...]]] = {}

    def through(self, transport: str) -> tuple[Compilation, tuple[Bytecode, ...]]:
        """What was described, and its programs. Skips the test where there is no libbcc."""
        if transport not in self._made:
            made = compiled(*EVERYTHING, transport=transport, pid=1, not_pid=2, uid=0, tid=3)
            try:
                self._made[transport] = made, LiveEngine().compile(made.source)
            except MissingLibraryError as error:
                pytest.skip(f"needs libbcc: {error}")
        return self._made[transport]


@pytest.fixture(scope="session")
def everything() -> Everything:
    return Everything()
