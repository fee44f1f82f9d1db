"""A probe in ftrace's words, as lines that may be appended to ``dynamic_events`` as they stand.

All but the definition is behind a ``#``, which the kernel leaves out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfprobe.deliver.escape import escape
from bpfprobe.model.ftrace import FtraceEvent
from bpfprobe.model.printable import lines_text

if TYPE_CHECKING:
    from bpfprobe.model.bound import Bound
    from bpfprobe.model.ftrace import NoForm


def ftrace_lines(bound: Bound, answer: FtraceEvent | tuple[NoForm, ...]) -> str:
    """The definition with its filter and its notes, or why there is none."""
    if isinstance(answer, FtraceEvent):
        lines = [answer.line]
        if answer.filter:
            lines.append(f"#   events/{answer.group}/{answer.name}/filter: {answer.filter}")
        lines += [f"#   needs {need}" for need in answer.needs]
        lines += [f"#   differs: {difference}" for difference in answer.differs]
    else:
        lines = [f"# {escape(bound.spec.name)}: no line of ftrace means the same"]
        lines += [f"#   {part.part}: {escape(part.why)}" for part in answer]
    return lines_text(lines)
