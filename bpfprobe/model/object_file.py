"""An object that a user keeps in a file (``.bpfo``), for this kernel or another."""

from __future__ import annotations

from bpfprobe.model.noun import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bpfprobe.model.description import Description
    from bpfprobe.model.object import Bytecode


@dataclass(frozen=True, slots=True)
class Variant:
    """The programs of one C text. ``source`` is its digest; no two variants have the same."""

    source: str
    programs: tuple[Bytecode, ...]


@dataclass(frozen=True, slots=True)
class ObjectFile:
    """Probes as they were described, and bytecode for each set of options that needs its own.

    A machine that makes the same C of the descriptions can run the bytecode. ``depends`` says what
    the C depends on, in words, each subject with its state on the machine it was built for.
    ``release`` is that machine's kernel, ``version`` the bpfprobe that built it. ``transport``,
    ``buffer_bytes`` and ``inflight`` are options of the session; ``made_s`` counts seconds since
    1970.
    """

    version: str
    release: str
    made_s: int
    descriptions: tuple[Description, ...]
    transport: str
    buffer_bytes: int | None
    inflight: int
    depends: tuple[tuple[str, str], ...]
    variants: tuple[Variant, ...]
