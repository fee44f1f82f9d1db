"""One start of a uprobe with bpfprobe; prints what each step took, in seconds."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

START = time.perf_counter()

import bpfprobe as bp  # noqa: E402, the import is the first step
from bpfprobe.engine.live import LiveEngine  # noqa: E402, and this is what opening it imports

IMPORTED = time.perf_counter()

if TYPE_CHECKING:
    from bpfprobe.model.object import Bytecode, CSource, MapDef


class TimedEngine(LiveEngine):
    """Notes when it is first asked for something, and how long compiling takes."""

    described: float | None = None
    compiling = 0.0

    def create_map(self, definition: MapDef) -> int:
        """The first thing that a session asks of an engine, or `compile` is."""
        self.described = self.described or time.perf_counter()
        return super().create_map(definition)

    def compile(self, source: CSource) -> tuple[Bytecode, ...]:
        """Compile, with a watch in the hand."""
        start = time.perf_counter()
        self.described = self.described or start
        try:
            return super().compile(source)
        finally:
            self.compiling = time.perf_counter() - start


def main() -> None:
    """Attach once, and say what it took."""
    engine = TimedEngine()
    start = time.perf_counter()
    session = bp.Session(bp.uprobe(sys.argv[1], "work", n="$arg1:s32"), engine=engine)
    session.open()
    end = time.perf_counter()
    session.close()
    assert engine.described is not None
    print("import", IMPORTED - START)
    print("describe", engine.described - start)
    print("compile", engine.compiling)
    print("load and attach", end - engine.described - engine.compiling)


if __name__ == "__main__":
    main()
