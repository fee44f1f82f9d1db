"""What the kernel says to a definition, and what bpfprobe says: no difference but those listed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).with_name("differential")))

KERNELS = ["5.10", "6.1", "newest"]


@pytest.mark.guest(kernels=KERNELS, timeout_s=300)
def test_every_definition_of_the_corpus():
    import kernel_side
    import machine
    import our_side
    from corpus import read_corpus
    from differences import DIFFERENCES, explain

    target = machine.prepare()
    entries = read_corpus(machine.words(target))
    assert len(entries) > 400
    wrong = []
    same = meant = 0
    seen: set[str] = set()
    for entry in entries:
        ours = our_side.verdict(entry.text, target)
        known = kernel_side.knows(entry.needs)
        kernel = kernel_side.verdict(entry.text) if known else entry.expected
        if kernel == ours:
            same += 1
        elif (difference := explain(entry.text, kernel, ours)) is not None:
            meant += 1
            if known:
                seen.add(difference.title)
        else:
            wrong.append(f"{entry.line}: {entry.text}\n    kernel: {kernel}\n    ours:   {ours}")
    assert wrong == [], f"{len(wrong)} of {len(entries)} differ:\n" + "\n".join(wrong)
    assert meant < len(entries) / 8
    if kernel_side.knows("this_cpu_read"):  # an excuse that excuses nothing hides something
        assert {d.title for d in DIFFERENCES if not d.is_old} - seen == set()


@pytest.mark.guest(kernels=KERNELS, timeout_s=240)
def test_definitions_made_at_random():
    """Always the same ones; what another seed finds goes into the corpus."""
    import random

    import kernel_side
    import machine
    import our_side
    from differences import explain
    from random_definitions import Maker

    target = machine.prepare()
    seed = 521
    has_btf = kernel_side.knows("<argname>[->field[->field|.field...]]")
    maker = Maker(random.Random(seed), machine.words(target), has_btf=has_btf)
    wrong, accepted = [], 0
    for _ in range(521):
        text = maker.definition()
        kernel, ours = kernel_side.verdict(text), our_side.verdict(text, target)
        accepted += kernel.accepts and ours.accepts
        if kernel != ours and not explain(text, kernel, ours):
            wrong.append(f"{text}\n    kernel: {kernel}\n    ours:   {ours}")
    assert wrong == [], f"seed {seed}, {len(wrong)} differ:\n" + "\n".join(wrong)
    assert 100 < accepted < 421


@pytest.mark.guest(kernels=KERNELS)
def test_definitions_of_one_event():
    import kernel_side
    import machine
    import our_side
    from corpus import read_appending

    target = machine.prepare()
    wrong = []
    for pair in read_appending(machine.words(target)):
        ours = our_side.appended(pair.first, pair.second)
        kernel = pair.expected
        if kernel_side.knows(pair.needs):
            assert kernel_side.define(pair.first).accepts, pair.first
            kernel = kernel_side.define(pair.second)
            kernel_side.delete_all()
        if not kernel == ours == pair.expected:
            wrong.append(f"{pair.first}; {pair.second}: kernel {kernel}, ours {ours}")
    assert wrong == []
