"""Stacks as values: the chain of calls that led to a hit."""

from __future__ import annotations

from enum import Enum

from bpfprobe.model.noun import dataclass

MAX_FRAMES = 127


class Caller(Enum):
    """Who puts the immediate caller into a stack at the first instruction of a function.

    Where it cannot be told, the program adds the caller unless it finds it in the chain.
    """

    KERNEL = "the kernel"
    PROGRAM = "the program"
    UNKNOWN = "whichever of kernel and program must"


@dataclass(frozen=True, slots=True)
class StackValue:
    """The addresses of the calls that led here, the innermost first; ``user`` for the program's.

    At most `MAX_FRAMES`, and at most the sysctl kernel.perf_event_max_stack (127 by default). User
    stacks follow frame pointers. bpf_get_stack(), Linux 4.18. ``callers`` go by place; none are
    given where the kernel's chain is taken as it is.
    """

    user: bool
    callers: tuple[Caller, ...] = ()

    def caller_at(self, place: int) -> Caller:
        """Who puts the immediate caller into the stack at a place of the probe."""
        return self.callers[place] if self.callers else Caller.KERNEL
