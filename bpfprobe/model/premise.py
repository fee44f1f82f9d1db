"""What an object was made from, and that must still be so when it is used again."""

from __future__ import annotations

from enum import Enum

from bpfprobe.model.noun import dataclass


class PremiseKind(Enum):
    """What a premise is about; ``name`` and ``value`` of it mean:"""

    FILE = 1  # a path; the identity of the file there
    NO_FILE = 2  # a path where no regular file is; nothing
    PROCESS_FILE = 3  # a name as the description has it; the identity of the file in the process
    FOLDER = 4  # nothing; the working directory
    VARIABLE = 5  # a variable of the environment; its value
    MODULE = 6  # a kernel module; the identity of what is loaded under that name
    MODULES = 7  # nothing; a digest of the names of all loaded modules
    TRACEPOINT = 8  # category:name; a digest of its format, which has its number
    SWITCH = 9  # a file of /proc or /sys; what it says


@dataclass(frozen=True, slots=True)
class Premise:
    """Something of the machine, as it was. ``probe`` is the number of the probe that wants it.

    ``probe`` is -1 where it is the same for all; only PROCESS_FILE depends on a probe's process.
    """

    kind: PremiseKind
    name: str
    value: str
    probe: int = -1
