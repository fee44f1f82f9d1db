"""Which lines of the generated C the instructions of an event come from.

``python -m tests.bench.lines tcpconnect``, which needs no root. A number before a line is how many
BPF instructions of it were executed; those that have no line of their own stand before an empty
one.
"""

from __future__ import annotations

import argparse

from tests.bench.workloads.instructions import TOOLS, our_probes, run_ours


def main() -> None:
    """Print the lines of one tool, entry and return."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.lines")
    parser.add_argument("tool", choices=TOOLS)
    tool = parser.parse_args().tool
    probes = our_probes(tool)
    text = ["", *probes.text.splitlines()]
    for name, run in zip(probes.names, run_ours(tool, probes), strict=True):
        print(f"{name}: {run.executed} instructions, {sum(run.calls.values())} of them calls")
        for line, times in sorted(probes.cost_by_line(name, run).items()):
            print(f"{times:5}  {text[line]}")


if __name__ == "__main__":
    main()
