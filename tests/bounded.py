"""What reading something costs, in calls and bytes: the same on every machine, however busy."""

from __future__ import annotations

import sys
import tracemalloc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


class TooMuchError(BaseException):
    """No Exception, so that nothing that is tested takes it for one of its own."""


@contextmanager
def bounded(*, calls: int, peak_bytes: int) -> Iterator[None]:
    """Raise `TooMuchError` for more calls of functions, or more memory at a time, than that."""
    left = calls

    def count(_frame: FrameType, event: str, _what: object) -> None:
        nonlocal left
        left -= event.endswith("call")
        if left < 0:
            sys.setprofile(None)
            raise TooMuchError(f"more than {calls} calls")

    tracemalloc.start()
    sys.setprofile(count)
    try:
        yield
    finally:
        sys.setprofile(None)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    if peak > peak_bytes:
        raise TooMuchError(f"{peak} bytes, and {peak_bytes} are allowed")
