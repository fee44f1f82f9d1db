"""What the kernel says to a definition, and what bpfprobe says: no difference but those listed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).with_name("differential")))

KERNELS = ["5.10", "6.1", "6.12", "7.2"]


@pytest.mark.guest(kernels=KERNELS, timeout_s=180)
def test_every_definition_of_the_corpus():
    import kernel_side
    import machine
    import our_side
    from corpus import read_corpus
    from differences import explain

    target = machine.prepare()
    entries = read_corpus(machine.words(target))
    assert len(entries) > 400
    wrong = []
    same = meant = 0
    for entry in entries:
        ours = our_side.verdict(entry.text, target)
        known = kernel_side.knows(entry.needs)
        kernel = kernel_side.verdict(entry.text) if known else entry.expected
        if kernel == ours:
            same += 1
        elif explain(entry.text, kernel, ours):
            meant += 1
        else:
            wrong.append(f"{entry.line}: {entry.text}\n    kernel: {kernel}\n    ours:   {ours}")
    assert wrong == [], f"{len(wrong)} of {len(entries)} differ:\n" + "\n".join(wrong)
    assert meant < len(entries) / 10
