"""One line for each step of a set-up, with the seconds it took."""

from __future__ import annotations

import contextlib
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from bpfprobe.output import write_lines

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Progress:
    """Tells a person what is going on; silent without a stream."""

    stream: TextIO | None

    @classmethod
    def to_stderr(cls) -> Progress:
        """Progress on the standard error, where it cannot mix with a command's output."""
        return cls(sys.stderr)

    @contextlib.contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Show ``text``, and its seconds when the block ends."""
        started = time.monotonic()
        self._write(f"lab: {text} ...", end="")
        try:
            yield
        except BaseException:
            self._write(" failed")
            raise
        self._write(f" {time.monotonic() - started:.1f} s")

    def note(self, text: str) -> None:
        """Show one line."""
        self._write(f"lab: {text}")

    def _write(self, text: str, end: str = "\n") -> None:
        if self.stream is not None:
            write_lines([text], self.stream, end)
            self.stream.flush()
