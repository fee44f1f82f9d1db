"""Filters as the kernel has them and as we have them, over the same calls: the same hits pass."""

from __future__ import annotations

import os
import random
from typing import NamedTuple

import pytest
from this_kernel import RELEASE

import bpfprobe as bp
from bpfprobe.errors import SpecError
from bpfprobe.model.span import SourceText
from bpfprobe.parse.filter import parse_filter
from bpfprobe.pipeline import describe
from bpfprobe.target.live import LiveTarget
from tests.filters import corpus, scenes, tracefs
from tests.filters.differences import (
    MISTAKES_OF_THE_KERNEL,
    REFUSED_HERE,
    TAKEN_HERE,
    is_of_the_kernel,
)
from tests.filters.random_filters import RandomFilters
from tests.filters.verdicts import Judge, Undefined

pytestmark = pytest.mark.guest(shares=True)

SEED = 4
AT_ONCE = 10  # more are compiled together in longer than a busy machine is given
PLACES = ("vfs_read", "vfs_write")


def addresses():
    known = scenes.functions(*PLACES)
    edges = {at for start, end in known.values() for at in (start, start + 1, end - 1, end)}
    return known, tuple(sorted(edges))


def ours(scene, filters):
    """The keys of the hits that each filter keeps."""
    found = []
    for start in range(0, len(filters), AT_ONCE):
        probes = [
            bp.probe(scene.described(f"f{n}", text))
            for n, text in enumerate(filters[start : start + AT_ONCE])
        ]
        kept = [set() for _ in probes]
        with bp.Session(*probes, pid=os.getpid(), buffer_bytes=16 << 20) as session:
            scene.act()
            for event in session.events(duration=0.2):
                kept[int(type(event).__name__[1:])].add(scene.key_of(event))
            assert session.statistics().lost == 0
        found += kept
    return found


def hold_against_the_kernel(scene, filters, known, *, in_kernel=lambda text: True):
    """Each filter, by the kernel, by us, and by what either is meant to make of it."""
    scenes.be_driver()
    tracefs.prepare(scene.definition)
    event = tracefs.KernelEvent(scene.event, scene.key)
    assert event.kept(scene.act) >= set(scene.hits)
    right, kernels = Judge(known), Judge(known, as_kernel=True)
    differ = {}
    for text, kept in zip(filters, ours(scene, filters), strict=True):
        meant = {key for key, hit in scene.hits.items() if right.keeps(text, hit)}
        assert kept & set(scene.hits) == meant, f"ours: {text}"
        if not in_kernel(text):
            continue
        assert event.refusal(text) is None, text
        passed = event.kept(scene.act)
        event.refusal("0")
        for key, hit in scene.hits.items():
            if (key in passed) != (key in meant):
                differ.setdefault(text, set()).add(key)
            try:
                expected = kernels.keeps(text, hit)
            except Undefined:
                continue
            assert (key in passed) == expected, f"kernel: {text} at {key}"
    return differ


def shown_mistakes(name):
    return [text for texts in MISTAKES_OF_THE_KERNEL.values() for text in texts.get(name, ())]


def random_filters(scene, count):
    drawn = RandomFilters(scene.drawn, SEED)
    return [drawn.next() for _ in range(count)]


def is_known(text):
    """Whether this kernel has the form."""
    if ".function" in text:
        return RELEASE >= (6, 4)
    return "CPUS{" not in text or RELEASE >= (6, 6)


KERNELS = ["6.1", "newest"]
"""The oldest and the newest whose filters were compared; each takes minutes."""


def share(kernel, filters):
    """All on the newest kernel, on the other a third, unless BPFPROBE_FILTERS asks for all."""
    whole = kernel == KERNELS[-1] or "BPFPROBE_FILTERS" in os.environ
    return filters if whole else filters[::3]


@pytest.mark.guest(kernels=KERNELS, timeout_s=560)
def test_a_kprobe_with_numbers_and_text(kernel):
    known, places = addresses()
    scene = scenes.kernel_function(places)
    mistakes = shown_mistakes("kernel_function")
    filters = [
        *corpus.NUMBERS[::2], *corpus.TEXTS, *corpus.LOGIC, *corpus.OF_EVERY_EVENT,
        *corpus.FUNCTIONS, *corpus.CPU_SETS,
    ]  # fmt: skip
    filters = [*share(kernel, filters), *mistakes, f"place.function == {places[1]:#x}"]
    differ = hold_against_the_kernel(scene, filters, known, in_kernel=is_known)
    assert set(mistakes) <= set(differ)


@pytest.mark.guest(kernels=KERNELS, timeout_s=560)
def test_random_filters_on_a_kprobe(kernel):
    known, places = addresses()
    scene = scenes.kernel_function(places)
    hold_against_the_kernel(scene, share(kernel, random_filters(scene, 101)), known)


@pytest.mark.guest(kernels=KERNELS, timeout_s=300)
def test_a_uprobe_with_the_same_filters(kernel):
    known, places = addresses()
    scene = scenes.user_function(places)
    filters = [*corpus.NUMBERS[1::6], *corpus.TEXTS[::3], *corpus.LOGIC[::2]]
    hold_against_the_kernel(scene, share(kernel, filters + random_filters(scene, 31)), known)


@pytest.mark.guest(kernels=KERNELS, timeout_s=300)
@pytest.mark.parametrize(
    ("name", "filters", "count"),
    [
        ("thread_names", corpus.ON_THREAD_NAMES, 31),
        ("opened_files", corpus.ON_OPENED_FILES, 31),
        ("sent_packets", corpus.ON_SENT_PACKETS, 11),
    ],
)
def test_a_tracepoint(kernel, name, filters, count):
    scene = getattr(scenes, name)()
    mistakes = shown_mistakes(name)
    chosen = [*share(kernel, [*filters, *random_filters(scene, count)]), *mistakes]
    differ = hold_against_the_kernel(scene, chosen, {})
    assert set(mistakes) <= set(differ)


class Verdicts:
    """What the kernel and we say to a filter of the kprobe."""

    def __init__(self, scene):
        self._scene, self._target = scene, LiveTarget()
        self._event = tracefs.KernelEvent(scene.event, scene.key)

    def kernel(self, text):
        """A `Refusal`, or None."""
        refusal = self._event.refusal(text)
        if refusal is None:
            self._event.refusal("0")
        return refusal

    def ours(self, text):
        """The one thing that is wrong, as a `Refusal` with the columns of its place, or None."""
        description = " ".join([self._scene.probe.format(name="f"), *self._scene.captures, "if "])
        try:
            describe([bp.probe(description + text)], self._target)
        except SpecError as error:
            (wrong,) = error.diagnostics
            start = len(description)
            place = (wrong.span.start - start, wrong.span.end - start)
            return Refused(wrong.code, place, bool(wrong.hint))
        return None


class Refused(NamedTuple):
    """Our refusal: the code, the columns of the place, and whether there is a way out."""

    code: str
    place: tuple[int, int]
    has_hint: bool


def reaches(caret, place):
    """Whether the kernel's caret is at our place, or where the kernel had read on to.

    It puts the caret behind the field, the operator or the value that it has read, never under the
    whole of what is wrong.
    """
    return place[0] - 1 <= caret


def disagreement(text, kernel, ours):
    """What is not as it should be about the two verdicts on a filter, "" for nothing."""
    if kernel is None and ours is None:
        return ""
    if kernel is None:
        known = any(each.covers(text, ours.code) for each in REFUSED_HERE)
        return "" if known else f"only we refuse {text!r}: {ours}"
    if ours is None:
        parsed = parse_filter(SourceText(text))
        if parsed is None or not is_of_the_kernel(parsed):
            return ""
        known = any(each.covers(text, kernel.code) for each in TAKEN_HERE)
        return "" if known else f"only the kernel refuses {text!r}: {kernel}"
    if not ours.has_hint:
        return f"no way out of {text!r}: {ours}"
    return ""


@pytest.mark.guest(kernels=KERNELS, timeout_s=300)
def test_mistakes_have_the_names_that_the_kernel_has(kernel):
    _, places = addresses()
    scene = scenes.kernel_function(places)
    tracefs.prepare(scene.definition)
    verdicts = Verdicts(scene)
    wrong = []
    refused = [*corpus.REFUSED]
    refused += corpus.REFUSED_FUNCTIONS if RELEASE >= (6, 4) else ()
    refused += corpus.REFUSED_CPU_SETS if RELEASE >= (6, 6) else ()
    for text in refused:
        theirs, ours_ = verdicts.kernel(text), verdicts.ours(text)
        if theirs is None or ours_ is None or theirs.code != ours_.code or not ours_.has_hint:
            wrong.append(f"{text!r}: kernel {theirs}, ours {ours_}")
        elif not reaches(theirs.column, ours_.place):
            wrong.append(f"{text!r}: the kernel's caret is at {theirs.column}, ours {ours_.place}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.guest(kernels=KERNELS, timeout_s=300)
def test_verdicts_differ_where_they_are_meant_to(kernel):
    _, places = addresses()
    scene = scenes.kernel_function(places)
    tracefs.prepare(scene.definition)
    verdicts = Verdicts(scene)
    taken = [*corpus.NUMBERS, *corpus.TEXTS, *corpus.LOGIC, *corpus.OF_EVERY_EVENT]
    texts = [*corpus.MEANT_TO_DIFFER, *changed_at_random(taken, 307)]
    found = []
    for text in texts:
        if is_known(text):
            found.append(disagreement(text, verdicts.kernel(text), verdicts.ours(text)))
    assert not any(found), "\n".join(filter(None, found))
    both = [(verdicts.kernel(t) is None, verdicts.ours(t) is None) for t in corpus.MEANT_TO_DIFFER]
    assert sum(theirs != ours_ for theirs, ours_ in both) > len(both) // 2


def changed_at_random(texts, count):
    """Filters with one or two characters put in, taken out, or doubled."""
    chance = random.Random(SEED)
    short = [text for text in texts if 2 < len(text) < 60]
    found = []
    while len(found) < count:
        text = chance.choice(short)
        for _ in range(chance.choice((1, 1, 2))):
            at = chance.randrange(len(text))
            kind = chance.randrange(3)
            new = ("", text[at] * 2, text[at] + chance.choice("()!&|=<>~'\" 0x-aCPUS{}.+"))[kind]
            text = text[:at] + new + text[at + 1 :]
        found.append(text)
    return found
