"""What a session tells beside its events."""

from __future__ import annotations

from bpfprobe.model.noun import dataclass


@dataclass(frozen=True, slots=True)
class Notice:
    """A line for the one who watches; ``str(notice)`` is that line.

    ``code`` is for programs, and stays:

    ==================  =========================================================================
    PLACES              a probe goes to more than one place; told before it is attached
    OTHER_FILE          a process of another mount namespace runs another file at a path that is
                        probed; told after
    ==================  =========================================================================
    """

    code: str
    text: str

    def __str__(self) -> str:
        return self.text
