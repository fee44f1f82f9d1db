"""Groups of processes, as a shell starts its commands in."""

from __future__ import annotations

import os
import time


def no_process_of(group: int) -> bool:
    """Whether a process group has gone, with all that it started."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.01)
    return False
