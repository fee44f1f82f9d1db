"""Names that captures may have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.model.event import Event

if TYPE_CHECKING:
    from collections.abc import Container

MAX_NAME_CHARS = 32

EVENT_NAMES = frozenset(
    name
    for name in {*dir(Event), *Event.__annotations__}.difference(dir(tuple))
    if not name.startswith("_")
)
"""What every event has already; a capture of one of these names would hide it.

``count`` and ``index`` are methods of tuples, and free: events hide that they are tuples.
"""

KERNEL_NAMES = frozenset(
    ["common_type", "common_flags", "common_preempt_count", "common_pid", "common_tgid"]
)
"""What the kernel has in every event of its own."""

RESERVED_NAMES = EVENT_NAMES | KERNEL_NAMES


def default_capture_name(name: str, taken: Container[str], place: int) -> str:
    """``name`` where a capture can have it, else argN by its place (from 1), as in the kernel."""
    is_free = name.isidentifier() and name not in RESERVED_NAMES and name not in taken
    if is_free and not name.startswith("_") and len(name) <= MAX_NAME_CHARS:
        return name
    return f"arg{place}"
