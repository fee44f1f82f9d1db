"""Telling from a guest's console whether its kernel is still to be trusted."""

from __future__ import annotations

import re

# Lines in which the name of a program comes first.
_OF_PROGRAM = rb"(?![^\n]*(?:invoked oom-killer|page allocation failure): )"

FAULT = re.compile(
    rb"\[ *\d+\.\d{6}\](?:\[ *[TC]\d+\])? "  # the time, and with CONFIG_PRINTK_CALLER the caller
    rb"(?:"
    rb"kernel BUG at |(?:watchdog: )?BUG: " + _OF_PROGRAM +  # BUG_ON(), KASAN, lockups, atomicity
    rb"|BUG \S+ \((?:Not t|T)ainted"  # slab_bug()
    rb"|WARNING: " + _OF_PROGRAM +  # WARN_ON(), lockdep, the unwinder
    rb"|[^\n]*: [0-9a-f]{4} \[#\d+\]"  # die() of x86, with its error code and its count
    rb"|Internal error: |Unable to handle kernel "  # the same of arm64
    rb"|(?:traps: )?PANIC: double fault"
    rb"|Kernel panic - not syncing"
    rb"|UBSAN: "
    rb")"
)  # fmt: skip
"""What a kernel prints when a promise of its own was broken.

A call trace alone does not say so: an OOM kill, a hung task and an RCU stall have one. Nor does
what a program prints, which has no time before it.
"""


def fault_in(console: bytes) -> str | None:
    """The first line of a console that reports a kernel fault, or None."""
    found = FAULT.search(console)
    if found is None:
        return None
    end = console.find(b"\n", found.end())
    line = console[found.start() : end if end >= 0 else len(console)]
    return line.decode("utf-8", "replace").strip()
