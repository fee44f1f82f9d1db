"""Values of the kernel's definitions: what ftrace prints and what bpfprobe takes, hit by hit."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).with_name("differential")))

KERNELS = ["5.10", "6.1", "newest"]


@pytest.mark.guest(kernels=KERNELS, timeout_s=240)
def test_values_of_the_corpus():
    import kernel_side
    import machine
    import our_side
    import value_differences
    from corpus import read_corpus
    from values import asked_in, take
    from workload import child

    target = machine.prepare()
    accepted = [
        entry.text
        for entry in read_corpus(machine.words(target))
        if entry.line.startswith("corpus")  # the rest leads to addresses of nothing: 6.1 warns
        and kernel_side.knows(entry.needs)
        and entry.expected.accepts
        and our_side.verdict(entry.text, target).accepts
        and kernel_side.verdict(entry.text).accepts
    ]
    asked = [a for a in asked_in(accepted) if a.head in machine.worked_at(target)]
    assert len(asked) > 150
    with child() as process:
        pairs = take(asked, process, target)
    wrong = [pair for pair in pairs if not value_differences.same(pair)]
    shown = {pair.asked: pair for pair in reversed(wrong)}.values()  # the first hit of each
    assert wrong == [], f"{len(wrong)} of {len(pairs)} differ:\n" + "\n".join(map(str, shown))
