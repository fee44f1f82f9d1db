"""Events that a tracer left behind, told from those of the living and of everybody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.model.noun import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bpfprobe.model.defined import DefinedEvent
    from bpfprobe.target.event_files import EventFiles
    from bpfprobe.target.processes import Processes

_TOOLS = ("bcc",)
"""Tools whose leavings are taken away.

bpfprobe leaves none: its probes are perf events without a line in tracefs, and the kernel ends them
with their process. Lines of the group ``bpfprobe`` were written by a person.
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an event is stale: nobody is left to use it (None: it cannot be told), and why."""

    event: DefinedEvent
    stale: bool | None
    because: str


def judge(files: EventFiles, processes: Processes) -> Iterator[Verdict]:
    """A verdict for each event that a process of bcc's made; the events of others have none.

    Raises what `EventFiles.defined` does.
    """
    for event in files.defined():
        maker = event.maker
        if maker is None or maker.tool not in _TOOLS:
            continue
        life = processes.life(maker.pid, files.made_at(event))
        yield Verdict(event, life.ended, life.evidence)
