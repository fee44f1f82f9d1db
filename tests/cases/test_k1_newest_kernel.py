"""Debian moves its newest kernel on: the lab follows, says which it is, and fails no run for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from readiness import Readiness

from bpfprobe.lab import Lab, LabUnavailable
from bpfprobe.lab.cache import Cache
from bpfprobe.lab.errors import GuestFault, KernelUnavailable
from bpfprobe.lab.installation import Installation
from bpfprobe.lab.kernels import Verified, is_release_of, load_matrix, series_of
from bpfprobe.lab.progress import Progress

MATRIX = load_matrix()
SEVEN = "7.3.4+deb14-cloud-amd64"
ON_OFFER = {
    "6.1": "6.1.0-57-cloud-amd64",
    "6.12": "6.12.117+deb13-cloud-amd64",
    "newest": SEVEN,
}


@pytest.fixture
def offered(monkeypatch, tmp_path):
    """A mirror with these releases, in place of apt."""
    offer = dict(ON_OFFER)

    def look(_self, wanted):
        if wanted.name not in offer:
            raise KernelUnavailable(f"kernel {wanted.name} can no longer be had from this mirror")
        return None, offer[wanted.name]

    monkeypatch.setattr(Installation, "_offered", look)
    return offer


def lab(name, tmp_path):
    return Lab(name, cache=Cache(tmp_path / "lab"), progress=Progress(None))


@pytest.mark.parametrize(
    ("version", "release", "expected"),
    [
        ("7.3", SEVEN, True),
        ("7.3.4", SEVEN, True),
        (SEVEN, SEVEN, True),
        ("6.1.0-57", "6.1.0-57-cloud-amd64", True),
        ("7", SEVEN, False),
        ("7.3.", SEVEN, False),
        ("7.3.40", SEVEN, False),
        ("7.3", "7.30.1-cloud-amd64", False),
        ("6.1", "6.12.117+deb13-cloud-amd64", False),
        ("newest", SEVEN, False),
        ("", SEVEN, False),
    ],
)
def test_version_names_a_release(version, release, expected):
    assert is_release_of(version, release) is expected


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("name", ["newest", "7.3", "7.3.4", SEVEN])
def test_newest_is_found_by_what_it_is_today(offered, tmp_path, name, known):
    if known:
        cache = Cache(tmp_path / "lab")
        cache.write_record("kernel-newest", {"release": SEVEN, "path": str(tmp_path)})
        offered["newest"] = "7.9.9-cloud-amd64"  # what was set up counts until --build
    assert lab(name, tmp_path).wanted.name == "newest"


def test_row_is_found_by_the_release_that_the_list_shows(offered, tmp_path):
    cache = Cache(tmp_path / "lab")
    cache.write_record("kernel-6.1", {"release": ON_OFFER["6.1"], "path": str(tmp_path)})
    assert lab(ON_OFFER["6.1"], tmp_path).wanted.name == "6.1"


@pytest.mark.parametrize(
    ("name", "today"),
    [("7.2", True), ("8.0", True), ("6.18", True), ("4.19", False), ("6.2", False), ("x", False)],
)
def test_other_kernels_are_refused_with_those_there_are(offered, tmp_path, name, today):
    with pytest.raises(LabUnavailable, match=f"no kernel '{name}'") as caught:
        _ = lab(name, tmp_path).wanted
    choice = "choose one of 5.10, 6.1, 6.12, newest"
    assert caught.value.hint == (f"{choice} ({SEVEN} today)" if today else choice)


def test_series_that_is_gone_is_never_another_one(offered, tmp_path):
    gone = lab("5.10", tmp_path)
    with pytest.raises(KernelUnavailable, match=r"5\.10 can no longer be had"):
        gone.installation.release(gone.wanted)


def test_default_that_is_gone_is_the_newest(offered, tmp_path):
    assert lab(None, tmp_path).wanted.name == "6.1"
    del offered["6.1"]
    assert lab(None, tmp_path).wanted.name == "newest"


@pytest.mark.parametrize(
    ("release", "tested"),
    [(SEVEN, True), ("7.3.9-cloud-amd64", True), ("7.4.1-cloud-amd64", False), ("6.19.2", False)],
)
def test_caveat_of_an_untested_series(release, tested):
    newest = replace(MATRIX.newest, verified=Verified("7.3.4", date(2026, 11, 30)))
    assert newest.caveat(release) == (
        None
        if tested
        else f"newest is {release}, which has not been tested: "
        "the last that was is 7.3.4, on 2026-11-30"
    )
    assert MATRIX.find("6.1").caveat("6.1.0-99-cloud-amd64") is None


def test_table_says_which_newest_was_tested():
    verified = MATRIX.newest.verified
    assert series_of(verified.release) not in MATRIX.names
    assert verified.on <= date.today()


def test_readme_says_what_was_tested():
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    *series, _ = MATRIX.names
    verified = MATRIX.newest.verified
    said = f"{', '.join(series)} and {verified.release} as Debian builds them"
    assert said in " ".join(readme.split())


def report(nodeid, outcome):
    return pytest.TestReport(nodeid, (nodeid, 0, nodeid), {}, outcome, "longrepr", "call")


def judged(ready, *outcomes):
    return [
        ready.judged([report(f"tests/guest/test_x.py::test_{index}[newest]", outcome)])[0]
        for index, outcome in enumerate(outcomes)
    ]


def test_failures_on_a_tested_kernel_are_failures():
    ready = Readiness("newest")
    assert [r.outcome for r in judged(ready, "passed", "failed")] == ["passed", "failed"]
    assert ready.summary() is None


def test_failures_on_an_untested_kernel_are_reported_and_fail_nothing():
    ready = Readiness("newest", caveat="newest is 7.4.1")
    passed, failed, skipped = judged(ready, "passed", "failed", "skipped")
    assert (passed.outcome, failed.outcome, skipped.outcome) == ("passed", "skipped", "skipped")
    assert failed.wasxfail == "reason: newest is 7.4.1"
    assert not hasattr(skipped, "wasxfail")
    assert ready.summary() == (
        "newest is 7.4.1; 1 of 3 tests differ there: test_x.py::test_1[newest]"
    )


def test_untested_kernel_that_is_alike_is_said_too():
    ready = Readiness("newest", caveat="newest is 7.4.1")
    judged(ready, "passed", "passed")
    assert ready.summary() == "newest is 7.4.1; 0 of 2 tests differ there"


GONE = KernelUnavailable("kernel 5.10 can no longer be had from this mirror")
OFF = LabUnavailable("no network")
CRASH = GuestFault("the kernel crashed", console=b"")


@pytest.mark.parametrize(
    ("absence", "caveat", "in_ci", "elsewhere"),
    [
        (GONE, None, "skipped", "skipped"),
        (OFF, None, "failed", "skipped"),
        (CRASH, None, "failed", "failed"),
        (CRASH, "newest is 7.4.1", "skipped", "skipped"),
        (OFF, "newest is 7.4.1", "skipped", "skipped"),
    ],
)
def test_what_a_missing_guest_comes_to(absence, caveat, in_ci, elsewhere):
    ready = Readiness("x", absence, caveat)
    assert ready.outcome_of_absence(absence_fails=True) == in_ci
    assert ready.outcome_of_absence(absence_fails=False) == elsewhere


@pytest.mark.parametrize(
    ("absence", "caveat", "expected"),
    [
        (GONE, None, "kernel 5.10 can no longer be had from this mirror; 3 tests not run"),
        (OFF, None, None),
        (CRASH, "newest is 7.4.1", "newest is 7.4.1; 3 tests not run: the kernel crashed"),
    ],
)
def test_what_is_said_of_a_missing_guest(absence, caveat, expected):
    assert Readiness("x", absence, caveat, seen=3).summary() == expected
