"""Which of three languages a description is written in.

======== ==================================== ==============================================
dialect  form                                 known from
======== ==================================== ==============================================
bpfprobe ``KIND:PLACE ...``                   this package
kernel   ``p[:EVENT] PLACE ...`` and its like kprobe_events, perf-tools' kprobe(8), uprobe(8)
trace8   ``[p|r|t|u:[LIBRARY]:]FUNCTION ...`` trace(8) of bcc
======== ==================================== ==============================================

The first word decides, in this order:

1. One of our kinds and a colon (``kprobe:``), or ``EVENT=`` and then those, is ours. For trace(8)
   it would be a library of that name; ``p:kprobe:FUNCTION`` says so.
2. A letter of the kernel's (``p``, ``r``, ``f``, ``t``, ``e``, ``-``), alone, with a number (also
   a misspelt one, if a place follows), or with a colon and a name, is the kernel's, as long as no
   second colon and no bracket follow. ``p:malloc`` is kprobe(8)'s ``malloc``, not a function in a
   library called p.
3. All else is trace(8)'s: ``vfs_read``, ``c:malloc``, ``p::vfs_read``, ``t:sched:sched_switch``.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING

from bpfprobe.model.regex import regex

if TYPE_CHECKING:
    from collections.abc import Sequence

KINDS = ("kprobe", "kretprobe", "uprobe", "uretprobe", "usdt", "tracepoint", "syscall")


class Dialect(Enum):
    """A language of descriptions."""

    BPFPROBE = "bpfprobe"
    KERNEL = "kernel"
    TRACE8 = "trace8"


_OURS = regex(rf"(?:[^\s=:]*=)?(?:{'|'.join(KINDS)}):")
_KERNEL = regex(
    r"""(?:[prfte][0-9]*|-)(?::[^\s:(]*)?(?=\s|$)
      | [prft][0-9][0-9A-Za-z]*(?::[^\s:(]*)?(?=\s+[^\s"'(])""",
    re.VERBOSE,
)


def dialect_of(text: str) -> Dialect:
    """The dialect of a description, by the rule above."""
    text = text.lstrip()
    if _OURS.match(text):
        return Dialect.BPFPROBE
    if _KERNEL.match(text):
        return Dialect.KERNEL
    return Dialect.TRACE8


def is_kprobe8_filter(words: Sequence[str]) -> bool:
    """Whether the second of two words is the filter of kprobe(8), and no description.

    kprobe(8) takes one definition and a filter (``'p:open do_sys_open f=+0(%si):string' 'f ~
    "*stat"'``), trace(8) any number of descriptions. After a definition of the kernel's, what is
    not in our form or the kernel's is the filter, unless it has trace(8)'s colons.
    """
    if len(words) != 2 or dialect_of(words[0]) is not Dialect.KERNEL:
        return False
    second = words[1].lstrip()
    if dialect_of(second) is not Dialect.TRACE8:
        return False
    return re.match(r"[^\s\"'(]*:", second) is None
