"""Runs the programs of a description on the machine, and gives its events."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from bpfprobe.deliver.decode import Decoder
from bpfprobe.engine.live import LiveEngine
from bpfprobe.pipeline import describe
from tests.machine.machine import Machine, Task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bpfprobe.model.event import Event
    from bpfprobe.model.options import Options
    from bpfprobe.model.spec import ProbeSpec
    from bpfprobe.target import Target
    from tests.machine.machine import Run

REGISTERS = (
    *("r15", "r14", "r13", "r12", "bp", "bx", "r11", "r10", "r9", "r8", "ax", "cx", "dx"),
    *("si", "di", "orig_ax", "ip", "cs", "flags", "sp", "ss"),
)


class Probes:
    """Descriptions compiled for a target (with libbcc, not a kernel), and a machine to run them.

    ``names`` are the programs' in the order of the C text: for a probe that keeps something from
    entry, the program of the entry comes before that of the return.
    """

    def __init__(
        self,
        specs: Sequence[ProbeSpec],
        target: Target,
        task: Task | None = None,
        options: Options | None = None,
    ) -> None:
        made = describe(specs, target, options)
        codes = LiveEngine().compile(made.source)
        self.code = {code.program.name: code.instructions for code in codes}
        self.lines = {code.program.name: code.lines for code in codes}
        self.text = made.source.text
        self.names = tuple(self.code)
        self.machine = Machine(task or Task(), dict(enumerate(made.source.maps)))
        self._decoder = Decoder([probe.layout for probe in made.plan.probes])

    def run(self, name: str, context: bytes) -> Run:
        """Hit a program."""
        return self.machine.run(self.code[name], context)

    def cost_by_line(self, name: str, run: Run) -> Counter[int]:
        """Instructions that a run executed, by the line of the C text that they came from."""
        found: Counter[int] = Counter()
        for slot, times in run.visits.items():
            found[self.lines[name][slot]] += times
        return found

    def events(self) -> list[Event]:
        """What was sent since this was last asked."""
        return [self._decoder.event(record) for record in self.machine.buffer(0).take()]


def registers(**values: int) -> bytes:
    """A ``struct pt_regs`` of x86-64."""
    assert values.keys() <= set(REGISTERS)
    return b"".join((values.get(n, 0) & (1 << 64) - 1).to_bytes(8, "little") for n in REGISTERS)
