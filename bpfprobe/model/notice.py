"""What a session tells beside its events."""

from __future__ import annotations

from bpfprobe.model.noun import dataclass


@dataclass(frozen=True, slots=True)
class Notice:
    """A line for the one who watches; ``str(notice)`` is that line.

    ``code`` is for programs, and stays:

    ==================  =========================================================================
    PLACES              a probe goes to more than one place; told before it is attached
    NEVER_RETURNS       a probe is on the return of a function that never returns, as do_exit; told
                        before it is attached
    OTHER_FILE          a process of another mount namespace runs another file at a path that is
                        probed; told after
    WAITS               a probe is attached nowhere, since the file it is for is not there yet
    FOLLOWED            a probe has been attached in one more file or process
    REFUSED             it could not be, in a file that it was meant for, and why
    NEVER_HIT           a probe of which no hit was seen, from `Session.never_hit`
    LOST                the kernel's records had a gap; all processes were looked at once more
    ==================  =========================================================================
    """

    code: str
    text: str

    def __str__(self) -> str:
        return self.text
