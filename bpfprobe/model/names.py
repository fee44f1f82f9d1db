"""Names that captures may have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.model.event import Event
from bpfprobe.model.layout import HEADER

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

RESERVED_NAMES = EVENT_NAMES.difference(HEADER) | KERNEL_NAMES
"""What no capture may be called. Where one is called ``pid``, that of the hit is ``_pid``."""


def can_be_named(name: str, taken: Container[str]) -> bool:
    """Whether a capture can have the name, beside those that are taken."""
    is_free = name.isidentifier() and name not in RESERVED_NAMES and name not in taken
    return is_free and not name.startswith("_") and len(name) <= MAX_NAME_CHARS


def name_by_place(place: int, taken: Container[str]) -> str:
    """Return argN, as in the kernel, by the place from 1; valueN where that is another value's."""
    name = f"arg{place}" if f"arg{place}" not in taken else f"value{place}"
    while name in taken:
        name += "_"
    return name


def default_capture_name(name: str, taken: Container[str], place: int) -> str:
    """Return ``name`` where a capture can have it, else one by its place."""
    return name if can_be_named(name, taken) else name_by_place(place, taken)
