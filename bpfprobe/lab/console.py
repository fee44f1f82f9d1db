"""Telling from a guest's console whether its kernel is still to be trusted."""

from __future__ import annotations

import re

FAULT = re.compile(rb"Oops|BUG:|WARNING|Kernel panic|soft lockup|Call Trace")
"""What a kernel prints when a promise of its own was broken."""


def fault_in(console: bytes) -> str | None:
    """The first line of a console that reports a kernel fault, or None."""
    found = FAULT.search(console)
    if found is None:
        return None
    start = console.rfind(b"\n", 0, found.start()) + 1
    end = console.find(b"\n", found.end())
    line = console[start : end if end >= 0 else len(console)]
    return line.decode("utf-8", "replace").strip()
